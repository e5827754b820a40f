// Vision parts in mmproj files: the towers and projectors of the reference folders, written as llama.cpp's
// converter writes them, are those folders' tensors again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "engine/base/error.h"
#include "fusion/families/gguf/architecture.h"
#include "fusion/family.h"
#include "fusion/source/open_model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/stored_tensors.h"
#include "tests/fusion/model_folder.h"
#include "tests/fusion/source/gguf_names.h"
#include "vision/tower/encoder.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_file;

using Names = testing::GgufNames;

/// Names of a tower of the CLIP kind below a prefix.
Names clip_names(const std::string& prefix) {
  const std::string layer = prefix + R"(encoder\.layers\.(\d+)\.)";
  return {{prefix + R"(embeddings\.patch_embedding\.(.*))", "v.patch_embd.$1"},
          {prefix + R"(embeddings\.position_embedding\.(.*))", "v.position_embd.$1"},
          {prefix + R"(post_layernorm\.(.*))", "v.post_ln.$1"},
          {layer + R"(self_attn\.([qkv])_proj\.(.*))", "v.blk.$1.attn_$2.$3"},
          {layer + R"(self_attn\.out_proj\.(.*))", "v.blk.$1.attn_out.$2"},
          {layer + R"(layer_norm([12])\.(.*))", "v.blk.$1.ln$2.$3"},
          {layer + R"(mlp\.fc1\.(.*))", "v.blk.$1.ffn_up.$2"},
          {layer + R"(mlp\.fc2\.(.*))", "v.blk.$1.ffn_down.$2"}};
}

struct ProjectorCase {
  std::string folder, text, name;
  Names names;
  std::function<void(GgufBytes& file, const Config& config)> keys;
};

std::vector<float> in_pairs(const std::vector<float>& values, std::size_t rows, std::size_t heads) {
  const std::size_t cols = values.size() / rows, width = rows / heads;
  std::vector<float> out(values.size());
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % width,
                      to = row - in_head + 2 * (in_head % (width / 2)) + in_head / (width / 2);
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(row * cols), cols,
                out.begin() + static_cast<std::ptrdiff_t>(to * cols));
  }
  return out;
}

/// Patches whose values lie pixel by pixel, as a convolution has them.
void put_by_colours(const std::string& name, const TensorView& tensor, GgufBytes& file) {
  const std::vector<float> values = to_floats(tensor);
  const std::size_t rows = tensor.rows(), pixels = tensor.cols() / 3;
  std::size_t side = 1;
  while (side * side < pixels) ++side;
  std::vector<float> changed;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t colour = 0; colour < 3; ++colour) {
      for (std::size_t pixel = 0; pixel < pixels; ++pixel)
        changed.push_back(values[(row * pixels + pixel) * 3 + colour]);
    }
  }
  file.put(name, {rows, 3, side, side}, changed);
}

/// What the converter changes besides names. @return true: the tensor was written
bool put_changed(const ProjectorCase& kind, const std::string& name, const TensorView& tensor,
                 GgufBytes& file) {
  const std::vector<float> values = to_floats(tensor);
  const std::vector<std::size_t>& shape = tensor.shape;
  if (name == "v.patch_embd.weight" && shape.size() == 5) {
    const std::size_t plane = shape[3] * shape[4];
    for (std::size_t frame = 0; frame < 2; ++frame) {
      std::vector<float> one;
      for (std::size_t at = frame * plane; at < values.size(); at += 2 * plane)
        one.insert(one.end(), values.begin() + static_cast<std::ptrdiff_t>(at),
                   values.begin() + static_cast<std::ptrdiff_t>(at + plane));
      file.put(frame == 0 ? name : name + ".1", {shape[0], shape[1], shape[3], shape[4]}, one);
    }
    return true;
  }
  if (name == "v.patch_embd.weight" && kind.name == "gemma4v") {
    put_by_colours(name, tensor, file);
    return true;
  }
  if (shape.empty()) {
    file.put(name, {1}, values);
    return true;
  }
  const std::size_t qkv = name.find("attn_qkv.");
  if (qkv != std::string::npos && kind.name != "qwen3vl_merger" && kind.name != "glm4v") {
    std::vector<std::size_t> third = shape;
    third[0] /= 3;
    const auto size = static_cast<std::ptrdiff_t>(values.size() / 3);
    for (std::ptrdiff_t i = 0; i < 3; ++i) {
      std::string own = name;
      own.replace(qkv, 9, std::string("attn_") + "qkv"[i] + ".");
      file.put(own, third, {values.begin() + i * size, values.begin() + (i + 1) * size});
    }
    return true;
  }
  if (kind.name == "pixtral" &&
      (name.find("attn_q.") != std::string::npos || name.find("attn_k.") != std::string::npos)) {
    file.put(name, shape, in_pairs(values, shape[0], 3));
    return true;
  }
  if (name == "mm.soft_emb_norm.weight") {
    std::vector<float> more = values;
    for (float& value : more) value += 1;
    file.put(name, shape, more);
    return true;
  }
  return false;
}

/// The keys of a text model; nobody reads its tensors here.
GgufBytes text_file(const std::string& architecture, std::size_t width) {
  GgufBytes file;
  const auto key = [&](const std::string& name) { return architecture + "." + name; };
  file.key("general.architecture", architecture).key(key("block_count"), 1u);
  file.key(key("embedding_length"), static_cast<std::uint32_t>(width)).key(key("attention.head_count"), 1u);
  file.key(key("feed_forward_length"), 2u).key(key("context_length"), 64u);
  file.key(key("attention.sliding_window"), 8u).key(key("attention.head_count_kv"), 1u);
  file.key(key("expert_count"), 0u).key(key("expert_used_count"), 0u);
  for (const char* name : {"ssm.time_step_rank", "ssm.group_count", "ssm.state_size", "ssm.inner_size"})
    file.key(key(name), 2u);
  file.key("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"a", "<end>"});
  file.texts("tokenizer.ggml.merges", {}).key("tokenizer.ggml.eos_token_id", 1u);
  return file;
}

void vision_keys(GgufBytes& file, const Config& vision, const std::vector<const char*>& names) {
  const char* keys[] = {"embedding_length",     "feed_forward_length", "block_count",
                        "attention.head_count", "image_size",          "patch_size"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::vector<std::int64_t> values = vision.integers(names[i]);
    file.key(std::string("clip.vision.") + keys[i],
             static_cast<std::uint32_t>(values.empty() ? 560 : values.front()));
  }
  file.floats("clip.vision.image_mean", {0.5f, 0.5f, 0.5f})
      .floats("clip.vision.image_std", {0.5f, 0.5f, 0.5f});
}

const std::vector<const char*> kUsualKeys = {"hidden_size",         "intermediate_size", "num_hidden_layers",
                                             "num_attention_heads", "image_size",        "patch_size"};

std::vector<ProjectorCase> projector_cases() {
  const auto usual = [](GgufBytes& file, const Config& config) {
    vision_keys(file, config.object("vision_config"), kUsualKeys);
  };
  Names gemma3 = clip_names(R"(vision_tower\.vision_model\.)");
  gemma3.emplace_back(R"(multi_modal_projector\.mm_input_projection_weight)", "mm.input_projection.weight");
  gemma3.emplace_back(R"(multi_modal_projector\.mm_soft_emb_norm\.weight)", "mm.soft_emb_norm.weight");
  Names idefics3 = clip_names(R"(model\.vision_model\.)");
  idefics3.emplace_back(R"(model\.connector\.modality_projection\.proj\.weight)", "mm.model.fc.weight");
  const std::string intern = R"(vision_tower\.encoder\.layer\.(\d+)\.)";
  const Names internvl = {
      {R"(vision_tower\.embeddings\.cls_token)", "v.class_embd"},
      {R"(vision_tower\.embeddings\.position_embeddings)", "v.position_embd.weight"},
      {R"(vision_tower\.embeddings\.patch_embeddings\.projection\.(.*))", "v.patch_embd.$1"},
      {intern + R"(attention\.([qkv])_proj\.(.*))", "v.blk.$1.attn_$2.$3"},
      {intern + R"(attention\.projection_layer\.(.*))", "v.blk.$1.attn_out.$2"},
      {intern + R"(layernorm_before\.(.*))", "v.blk.$1.ln1.$2"},
      {intern + R"(layernorm_after\.(.*))", "v.blk.$1.ln2.$2"},
      {intern + "lambda_([12])", "v.blk.$1.ls$2.weight"},
      {intern + R"(mlp\.fc1\.(.*))", "v.blk.$1.ffn_up.$2"},
      {intern + R"(mlp\.fc2\.(.*))", "v.blk.$1.ffn_down.$2"},
      {R"(multi_modal_projector\.layer_norm\.(.*))", "mm.model.mlp.0.$1"},
      {R"(multi_modal_projector\.linear_1\.(.*))", "mm.model.mlp.1.$1"},
      {R"(multi_modal_projector\.linear_2\.(.*))", "mm.model.mlp.3.$1"}};
  const std::string mistral = R"(vision_tower\.transformer\.layers\.(\d+)\.)";
  const Names pixtral = {
      {R"(vision_tower\.patch_conv\.(.*))", "v.patch_embd.$1"},
      {R"(vision_tower\.ln_pre\.(.*))", "v.pre_ln.$1"},
      {mistral + R"(attention\.([qkv])_proj\.(.*))", "v.blk.$1.attn_$2.$3"},
      {mistral + R"(attention\.o_proj\.(.*))", "v.blk.$1.attn_out.$2"},
      {mistral + R"(attention_norm\.(.*))", "v.blk.$1.ln1.$2"},
      {mistral + R"(ffn_norm\.(.*))", "v.blk.$1.ln2.$2"},
      {mistral + R"(feed_forward\.(gate|up|down)_proj\.(.*))", "v.blk.$1.ffn_$2.$3"},
      {R"(multi_modal_projector\.norm\.(.*))", "mm.input_norm.$1"},
      {R"(multi_modal_projector\.patch_merger\.merging_layer\.(.*))", "mm.patch_merger.$1"},
      {R"(multi_modal_projector\.linear_([12])\.(.*))", "mm.$1.$2"}};
  const std::string block = R"((?:model\.)?visual\.blocks\.(\d+)\.)";
  const Names qwen = {
      {R"((?:model\.)?visual\.patch_embed\.proj\.(.*))", "v.patch_embd.$1"},
      {R"((?:model\.)?visual\.pos_embed\.(.*))", "v.position_embd.$1"},
      {block + R"(attn\.qkv\.(.*))", "v.blk.$1.attn_qkv.$2"},
      {block + R"(attn\.proj\.(.*))", "v.blk.$1.attn_out.$2"},
      {block + R"(norm([12])\.(.*))", "v.blk.$1.ln$2.$3"},
      {block + R"(mlp\.linear_fc1\.(.*))", "v.blk.$1.ffn_up.$2"},
      {block + R"(mlp\.linear_fc2\.(.*))", "v.blk.$1.ffn_down.$2"},
      {block + R"(mlp\.(gate|up|down)_proj\.(.*))", "v.blk.$1.ffn_$2.$3"},
      {R"((?:model\.)?visual\.merger\.(?:ln_q|norm)\.(.*))", "v.post_ln.$1"},
      {R"((?:model\.)?visual\.merger\.mlp\.([02])\.(.*))", "mm.$1.$2"},
      {R"((?:model\.)?visual\.merger\.linear_fc1\.(.*))", "mm.0.$1"},
      {R"((?:model\.)?visual\.merger\.linear_fc2\.(.*))", "mm.2.$1"},
      {R"((?:model\.)?visual\.deepstack_merger_list\.0\.norm\.(.*))", "v.deepstack.0.norm.$1"},
      {R"((?:model\.)?visual\.deepstack_merger_list\.0\.linear_fc([12])\.(.*))", "v.deepstack.0.fc$1.$2"},
      {R"((?:model\.)?visual\.deepstack_merger_list\.1\.norm\.(.*))", "v.deepstack.2.norm.$1"},
      {R"((?:model\.)?visual\.deepstack_merger_list\.1\.linear_fc([12])\.(.*))", "v.deepstack.2.fc$1.$2"}};
  const std::string merger = R"(model\.visual\.merger\.)";
  const Names glm = {{R"(model\.visual\.patch_embed\.proj\.(.*))", "v.patch_embd.$1"},
                     {R"(model\.visual\.post_layernorm\.(.*))", "v.post_ln.$1"},
                     {block + R"(attn\.qkv\.(.*))", "v.blk.$1.attn_qkv.$2"},
                     {block + R"(attn\.proj\.(.*))", "v.blk.$1.attn_out.$2"},
                     {block + R"(attn\.([qk])_norm\.(.*))", "v.blk.$1.attn_$2_norm.$3"},
                     {block + R"(norm([12])\.(.*))", "v.blk.$1.ln$2.$3"},
                     {block + R"(mlp\.(gate|up|down)_proj\.(.*))", "v.blk.$1.ffn_$2.$3"},
                     {R"(model\.visual\.downsample\.(.*))", "mm.patch_merger.$1"},
                     {merger + R"(proj\.(.*))", "mm.model.fc.$1"},
                     {merger + R"(post_projection_norm\.(.*))", "mm.post_norm.$1"},
                     {merger + R"((gate|up|down)_proj\.(.*))", "mm.$1.$2"}};
  Names paddle = clip_names(R"(visual\.vision_model\.)");
  paddle.emplace_back(R"(mlp_AR\.pre_norm\.(.*))", "mm.input_norm.$1");
  paddle.emplace_back(R"(mlp_AR\.linear_([12])\.(.*))", "mm.$1.$2");
  Names llava_next = clip_names(R"(vision_tower\.vision_model\.)");
  llava_next.emplace_back(R"(vision_tower\.vision_model\.embeddings\.class_embedding)", "v.class_embd");
  llava_next.emplace_back(R"(vision_tower\.vision_model\.pre_layrnorm\.(.*))", "v.pre_ln.$1");
  llava_next.emplace_back(R"(multi_modal_projector\.linear_1\.(.*))", "mm.0.$1");
  llava_next.emplace_back(R"(multi_modal_projector\.linear_2\.(.*))", "mm.2.$1");
  llava_next.emplace_back("image_newline", "model.image_newline");
  const auto llava_next_keys = [usual](GgufBytes& file, const Config& config) {
    usual(file, config);
    std::string sides = GgufBytes::number(std::uint32_t{5}) + GgufBytes::number(std::uint64_t{4});
    for (const std::int32_t side : {56, 112, 112, 56}) sides += GgufBytes::number(side);
    file.key("clip.vision.image_grid_pinpoints", 9, sides);
  };
  const auto qwen_keys = [](GgufBytes& file, const Config& config) {
    vision_keys(file, config.object("vision_config"),
                {"hidden_size", "intermediate_size", "depth", "num_heads", "image_size", "patch_size"});
    file.key("clip.vision.n_wa_pattern", 2u);
  };
  const std::string four = R"(model\.vision_tower\.encoder\.layers\.(\d+)\.)";
  const Names gemma4 = {
      {R"(model\.vision_tower\.patch_embedder\.input_proj\.weight)", "v.patch_embd.weight"},
      {R"(model\.vision_tower\.patch_embedder\.position_embedding_table)", "v.position_embd.weight"},
      {R"(model\.embed_vision\.embedding_projection\.weight)", "mm.input_projection.weight"},
      {four + R"(self_attn\.([qkv])_proj\.(?:linear\.)?(.*))", "v.blk.$1.attn_$2.$3"},
      {four + R"(self_attn\.([qk])_norm\.(.*))", "v.blk.$1.attn_$2_norm.$3"},
      {four + R"(self_attn\.o_proj\.(?:linear\.)?(.*))", "v.blk.$1.attn_out.$2"},
      {four + R"(mlp\.(gate|up|down)_proj\.(?:linear\.)?(.*))", "v.blk.$1.ffn_$2.$3"},
      {four + R"(input_layernorm\.(.*))", "v.blk.$1.ln1.$2"},
      {four + R"(pre_feedforward_layernorm\.(.*))", "v.blk.$1.ln2.$2"},
      {four + R"(post_attention_layernorm\.(.*))", "v.blk.$1.attn_post_norm.$2"},
      {four + R"(post_feedforward_layernorm\.(.*))", "v.blk.$1.ffn_post_norm.$2"}};
  return {{"gemma3", "gemma3", "gemma3", gemma3, usual},
          {"gemma4", "gemma4", "gemma4v", gemma4, usual},
          {"smolvlm", "llama", "idefics3", idefics3, usual},
          {"internvl", "qwen2", "internvl", internvl, usual},
          {"mistral3", "llama", "pixtral", pixtral, usual},
          {"qwen2-5-vl", "qwen2vl", "qwen2.5vl_merger", qwen, qwen_keys},
          {"qwen3-vl", "qwen3vl", "qwen3vl_merger", qwen, qwen_keys},
          {"qwen3-5", "qwen35", "qwen3vl_merger", qwen, qwen_keys},
          {"glm-ocr", "glm4", "glm4v", glm, qwen_keys},
          {"paddleocr-vl", "paddleocr", "paddleocr", paddle, usual},
          {"llava-next", "llama", "mlp", llava_next, llava_next_keys}};
}

class Mmproj : public ::testing::TestWithParam<ProjectorCase> {};

/// @return names of the vision part's tensors there, and in the folder
std::vector<std::pair<std::string, std::string>> write_files(const ProjectorCase& kind,
                                                             const WeightSource& folder,
                                                             const TemporaryFolder& made) {
  const Config& config = folder.config();
  GgufBytes file;
  file.key("general.architecture", "clip").key("clip.projector_type", kind.name);
  kind.keys(file, config);
  std::vector<std::pair<std::string, std::string>> vision;
  for (const auto& [stored, tensor] : folder.tensors()) {
    const std::string name = testing::gguf_name(kind.names, stored);
    if (name.empty()) continue;
    vision.emplace_back(stored.starts_with("model.visual.") ? stored.substr(6) : stored, stored);
    if (!put_changed(kind, name, tensor, file)) file.put(name, tensor.shape, to_floats(tensor));
  }
  const Config text = config.has("text_config") ? config.object("text_config") : config;
  write_file(made.path() / "model.gguf",
             text_file(kind.text, static_cast<std::size_t>(text.integer("hidden_size", 0))).bytes());
  write_file(made.path() / "mmproj-model.gguf", file.bytes());
  return vision;
}

TEST_P(Mmproj, HasTheFoldersTensors) {
  const ProjectorCase& kind = GetParam();
  const auto folder = open_model(testing::kReference / kind.folder / "model");
  const Config& config = folder->config();
  const TemporaryFolder made;
  const auto vision = write_files(kind, *folder, made);
  ASSERT_GT(vision.size(), 20u);
  const auto model = open_model(made.path() / "model.gguf");  // the file is found beside it
  for (const auto& [name, stored] : vision) {
    ASSERT_TRUE(model->has(name)) << name;
    TensorView tensor = model->tensor(name);
    if (tensor.elements() > 1) tensor = model->tensor(name, folder->tensor(stored).shape);
    const std::vector<float> wanted = to_floats(folder->tensor(stored)), found = to_floats(tensor);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      ASSERT_NEAR(found[i], wanted[i], 1e-6f) << name << ' ' << i;
  }
  EXPECT_EQ(find_family(model->config()).name, find_family(config).name);
  EXPECT_EQ(model->has_file("video_preprocessor_config.json"), kind.name == "qwen3vl_merger");
}

/// Rows of a picture of noise.
std::vector<float> rows_of(const WeightSource& source, const VisionConfig& tower, const std::string& prefix) {
  const VisionEncoder encoder(source, tower, prefix);
  Patches patches;
  patches.grid = {4, 4};
  patches.values = Matrix<float>(16, 3 * tower.patch_size * tower.patch_size);
  std::mt19937 random(1);
  for (std::size_t r = 0; r < 16; ++r) {
    for (std::size_t c = 0; c < patches.values.cols(); ++c)
      patches.values.row(r)[c] = static_cast<float>(random() % 1000) / 500.0f - 1.0f;
  }
  const Patches* const images[] = {&patches};
  Scratch scratch;
  const Matrix<float> rows = std::move(encoder.encode(images, scratch).features);
  std::vector<float> all;
  for (std::size_t r = 0; r < rows.rows(); ++r) all.insert(all.end(), rows.row(r), rows.row(r) + rows.cols());
  return all;
}

// The kernel of patches is two tensors there, whose sum a picture needs.
class QwenTower : public ::testing::TestWithParam<ProjectorCase> {};

TEST_P(QwenTower, ComputesTheFoldersRows) {
  const ProjectorCase& kind = GetParam();
  const auto folder = open_model(testing::kReference / kind.folder / "model");
  const TemporaryFolder made;
  write_files(kind, *folder, made);
  const auto model = open_model(made.path() / "model.gguf");
  const VisionSpec vision = *find_family(folder->config()).parse(folder->config(), *folder).vision;
  const std::string prefix = model->has("visual.patch_embed.proj.weight") ? "visual." : vision.prefix;
  const std::vector<float> wanted = rows_of(*folder, vision.encoder, vision.prefix);
  const std::vector<float> found = rows_of(*model, vision.encoder, prefix);
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(found[i], wanted[i], 1e-4f) << i;
}

INSTANTIATE_TEST_SUITE_P(Kinds, Mmproj, ::testing::ValuesIn(projector_cases()), [](const auto& info) {
  return std::regex_replace(info.param.folder, std::regex("[^a-z0-9]"), "_");
});

std::vector<ProjectorCase> qwen_cases() {
  std::vector<ProjectorCase> all = projector_cases();
  std::erase_if(all, [](const ProjectorCase& kind) { return kind.folder.find("qwen") != 0; });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kinds, QwenTower, ::testing::ValuesIn(qwen_cases()), [](const auto& info) {
  return std::regex_replace(info.param.folder, std::regex("[^a-z0-9]"), "_");
});

TEST(MmprojChoice, SomeTextModelsAreNoneByThemselves) {
  const TemporaryFolder folder;
  for (const char* architecture : {"glm4", "paddleocr"}) {
    write_file(folder.path() / "model.gguf", text_file(architecture, 4).bytes());
    EXPECT_THAT(
        message_of<ModelError>([&] { open_model(folder.path() / "model.gguf"); }),
        AllOf(HasSubstr(architecture), HasSubstr("only with its mmproj file"), HasSubstr("--mmproj")));
  }
}

TEST(TurnedRows, AreThoseOfPairs) {
  const TensorView tensor{"q", DType::f32, {24, 1}};
  const auto halves = gguf::rows_in_halves(tensor, 2), pairs = gguf::rows_in_pairs(tensor, 2, 0);
  for (std::uint32_t row = 0; row < 24; ++row) EXPECT_EQ(halves[pairs[row]], row);
  const auto part = gguf::rows_in_pairs(tensor, 2, 8);
  EXPECT_THAT(std::vector(part.begin() + 12, part.end()),
              ::testing::ElementsAre(12, 16, 13, 17, 14, 18, 15, 19, 20, 21, 22, 23));
  EXPECT_THROW(gguf::rows_in_pairs(tensor, 2, 14), ModelError);
  EXPECT_THROW(gguf::rows_in_pairs(tensor, 5, 0), ModelError);
}

TEST(MmprojChoice, OneFileIsFoundSeveralAreNot) {
  const TemporaryFolder folder;
  write_file(folder.path() / "model.gguf", text_file("qwen2", 4).bytes());
  const auto error = [&](ModelParts parts) {
    return message_of<ModelError>(
        [&] { open_model(ModelPlace(folder.path() / "model.gguf", std::move(parts))); });
  };
  EXPECT_EQ(error({}), "");
  const std::string clip =
      GgufBytes().key("general.architecture", "clip").key("clip.projector_type", "gemma3").bytes();
  write_file(folder.path() / "mmproj-a.gguf", clip);
  EXPECT_THAT(error({}),
              AllOf(HasSubstr("mmproj-a.gguf"), HasSubstr("goes with text models of architecture gemma3"),
                    HasSubstr("'qwen2'"), HasSubstr("--mmproj none")));
  EXPECT_EQ(error({.projector = "none", .adapters = {}}), "");
  write_file(folder.path() / "mmproj-b.gguf", clip);
  EXPECT_THAT(error({}), AllOf(HasSubstr("several mmproj files"), HasSubstr("mmproj-a.gguf, mmproj-b.gguf"),
                               HasSubstr("--mmproj")));
  EXPECT_THAT(error({.projector = folder.path() / "c.gguf", .adapters = {}}),
              HasSubstr("which is not there"));
  const std::string other =
      GgufBytes().key("general.architecture", "clip").key("clip.projector_type", "ldp").bytes();
  write_file(folder.path() / "c.gguf", other);
  EXPECT_THAT(error({.projector = folder.path() / "c.gguf", .adapters = {}}),
              AllOf(HasSubstr("'ldp' is not supported"), HasSubstr("qwen3vl_merger")));
}

}  // namespace
}  // namespace mmbatch
