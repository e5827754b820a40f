// Files that hold text model and vision tower together, written from reference folders as Ollama writes
// them: the towers are those folders' tensors again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "engine/base/error.h"
#include "fusion/family.h"
#include "fusion/source/open_model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/stored_tensors.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using Sizes = std::vector<std::pair<std::string, std::string>>;

struct OwnVisionCase {
  std::string folder, architecture;
  Sizes replacements;  // in names, one after the other
  Sizes sizes;         // GGUF's key below "vision.", and the one of vision_config
};

std::string replaced(const OwnVisionCase& kind, std::string name) {
  for (const auto& [from, to] : kind.replacements) {
    if (const std::size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  }
  return name;
}

/// Rows in three parts, as query, key and value weights are stored.
void put_thirds(GgufBytes& file, const std::string& name, std::vector<std::size_t> shape,
                const std::vector<float>& values) {
  const std::size_t at = name.find("attn.qkv");
  const auto size = static_cast<std::ptrdiff_t>(values.size() / 3);
  shape[0] /= 3;
  for (std::ptrdiff_t i = 0; i < 3; ++i) {
    std::string own = name;
    own.replace(at, 8, std::string("attn_") + "qkv"[i]);
    file.put(own, shape, {values.begin() + i * size, values.begin() + (i + 1) * size});
  }
}

void put_frames(GgufBytes& file, const std::vector<std::size_t>& shape, const std::vector<float>& values) {
  const std::size_t plane = shape[3] * shape[4];
  for (std::size_t frame = 0; frame < 2; ++frame) {
    std::vector<float> one;
    for (std::size_t at = frame * plane; at < values.size(); at += 2 * plane)
      one.insert(one.end(), values.begin() + static_cast<std::ptrdiff_t>(at),
                 values.begin() + static_cast<std::ptrdiff_t>(at + plane));
    file.put("v.patch_embd_" + std::to_string(frame) + ".weight", {shape[0], shape[1], shape[3], shape[4]},
             one);
  }
}

void put_tensor(const OwnVisionCase& kind, const std::string& name, const TensorView& tensor,
                GgufBytes& file) {
  std::vector<float> values = to_floats(tensor);
  if (name == "v.patch_embed.weight" && kind.architecture == "qwen25vl")
    return put_frames(file, tensor.shape, values);
  if (name == "v.patch_embed.weight") {
    const std::vector<std::size_t>& all = tensor.shape;
    return file.put(name, {all[0] * all[1], all[2], all[3], all[4]}, values);
  }
  if (name.find("attn.qkv") != std::string::npos) return put_thirds(file, name, tensor.shape, values);
  if (name == "mm.mm_soft_emb_norm.weight") {
    for (float& value : values) value += 1;
  }
  file.put(name, tensor.shape, values);
}

/// A text model's keys; nobody reads its tensors here.
GgufBytes text_keys(const std::string& architecture, std::size_t width) {
  GgufBytes file;
  const auto key = [&](const std::string& name) { return architecture + "." + name; };
  file.key("general.architecture", architecture).key(key("block_count"), 1u);
  file.key(key("embedding_length"), static_cast<std::uint32_t>(width)).key(key("attention.head_count"), 1u);
  file.key(key("feed_forward_length"), 2u).key(key("context_length"), 64u);
  file.key("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"a", "<end>"});
  file.texts("tokenizer.ggml.merges", {}).key("tokenizer.ggml.eos_token_id", 1u);
  return file;
}

const Sizes kUsual = {{"embedding_length", "hidden_size"},
                      {"feed_forward_length", "intermediate_size"},
                      {"block_count", "num_hidden_layers"},
                      {"image_size", "image_size"},
                      {"attention.head_count", "num_attention_heads"},
                      {"patch_size", "patch_size"}};
const Sizes kQwen = {{"embedding_length", "hidden_size"},
                     {"block_count", "depth"},
                     {"attention.head_count", "num_heads"},
                     {"patch_size", "patch_size"},
                     {"spatial_merge_size", "spatial_merge_size"}};

std::vector<OwnVisionCase> own_vision_cases() {
  return {{"gemma3",
           "gemma3",
           {{"vision_tower.vision_model.embeddings", "v"},
            {"vision_tower.vision_model", "v"},
            {"encoder.layers", "blk"},
            {"self_attn.q_proj", "attn_q"},
            {"self_attn.k_proj", "attn_k"},
            {"self_attn.v_proj", "attn_v"},
            {"self_attn.out_proj", "attn_output"},
            {"input_projection_weight", "input_projection.weight"},
            {"multi_modal_projector", "mm"}},
           kUsual},
          {"mistral3",
           "mistral3",
           {{"vision_tower.transformer.layers", "v.blk"},
            {"vision_tower", "v"},
            {"ln_pre", "encoder_norm"},
            {"attention.q_proj", "attn_q"},
            {"attention.k_proj", "attn_k"},
            {"attention.v_proj", "attn_v"},
            {"attention.o_proj", "attn_output"},
            {"attention_norm", "attn_norm"},
            {"feed_forward.gate_proj", "ffn_gate"},
            {"feed_forward.up_proj", "ffn_up"},
            {"feed_forward.down_proj", "ffn_down"},
            {"multi_modal_projector", "mm"}},
           kUsual},
          {"qwen2-5-vl",
           "qwen25vl",
           {{"model.visual.", "visual."},
            {"visual.", "v."},
            {"patch_embed.proj", "patch_embed"},
            {"blocks", "blk"},
            {"attn.proj", "attn_out"},
            {"norm1", "ln1"},
            {"norm2", "ln2"},
            {"mlp.gate_proj", "ffn_gate"},
            {"mlp.up_proj", "ffn_up"},
            {"mlp.down_proj", "ffn_down"}},
           kQwen},
          {"qwen3-vl",
           "qwen3vl",
           {{"model.visual.", "visual."},
            {"visual.", "v."},
            {"patch_embed.proj", "patch_embed"},
            {"blocks", "blk"},
            {"attn.proj", "attn_out"},
            {"deepstack_merger_list", "deepstack_merger"}},
           kQwen}};
}

GgufBytes write(const OwnVisionCase& kind, const WeightSource& folder) {
  const Config vision = folder.config().object("vision_config");
  const Config text = folder.config().object("text_config");
  const bool nested = text.has("hidden_size");
  GgufBytes file =
      text_keys(kind.architecture,
                static_cast<std::size_t>((nested ? text : folder.config()).integer("hidden_size", 0)));
  const std::string prefix = kind.architecture + ".vision.";
  for (const auto& [key, name] : kind.sizes)
    file.key(prefix + key, static_cast<std::uint32_t>(vision.integer(name, 0)));
  file.key(kind.architecture + ".spatial_merge_size",
           static_cast<std::uint32_t>(
               vision.integer("spatial_merge_size", folder.config().integer("spatial_merge_size", 2))));
  if (const std::int64_t tokens = folder.config().integer("mm_tokens_per_image", 0); tokens > 0)
    file.key(kind.architecture + ".mm.tokens_per_image", static_cast<std::uint32_t>(tokens));
  for (const char* list : {"fullatt_block_indexes", "deepstack_visual_indexes"}) {
    const std::vector<std::int64_t> layers = vision.integers(list);
    std::string bytes = GgufBytes::number(std::uint32_t{5}) + GgufBytes::number(std::uint64_t{layers.size()});
    for (const std::int64_t layer : layers) bytes += GgufBytes::number(static_cast<std::int32_t>(layer));
    if (!layers.empty()) file.key(prefix + list, 9, bytes);
  }
  return file;
}

class OwnVision : public ::testing::TestWithParam<OwnVisionCase> {};

TEST_P(OwnVision, HasTheFoldersTower) {
  const OwnVisionCase& kind = GetParam();
  const auto folder = open_model(testing::kReference / kind.folder / "model");
  GgufBytes file = write(kind, *folder);
  std::size_t count = 0;
  for (const auto& [name, tensor] : folder->tensors()) {
    const std::string own = replaced(kind, name);
    if (!own.starts_with("v.") && !own.starts_with("mm.")) continue;
    put_tensor(kind, own, tensor, file);
    ++count;
  }
  ASSERT_GT(count, 20u);
  const TemporaryFolder made;
  const std::filesystem::path place = made.path() / "model.gguf";
  testing::write_file(place, file.bytes());
  const auto model = open_model(place);
  EXPECT_EQ(find_family(model->config()).name, find_family(folder->config()).name);
  for (const auto& [stored, tensor] : folder->tensors()) {
    const std::string own = replaced(kind, stored);
    if (!own.starts_with("v.") && !own.starts_with("mm.")) continue;
    const std::string name = stored.starts_with("model.visual.") ? stored.substr(6) : stored;
    ASSERT_TRUE(model->has(name)) << name;
    const std::vector<float> wanted = to_floats(tensor), found = to_floats(model->tensor(name, tensor.shape));
    for (std::size_t i = 0; i < wanted.size(); ++i)
      ASSERT_NEAR(found[i], wanted[i], 1e-6f) << name << ' ' << i;
  }
  const Config vision = model->config().object("vision_config");
  for (const char* key : {"fullatt_block_indexes", "deepstack_visual_indexes"})
    EXPECT_EQ(vision.integers(key), folder->config().object("vision_config").integers(key));
  EXPECT_EQ(model->config().integer("mm_tokens_per_image", 0),
            folder->config().integer("mm_tokens_per_image", 0));
  const auto alone = open_model(ModelPlace(place, {.projector = "none", .adapters = {}}));
  EXPECT_TRUE(alone->tensors().empty());
  EXPECT_FALSE(alone->has_file("preprocessor_config.json"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, OwnVision, ::testing::ValuesIn(own_vision_cases()),
                         [](const auto& info) { return info.param.architecture; });

TEST(OwnVisionKinds, OthersAreRefusedByName) {
  GgufBytes file = text_keys("qwen2", 2);
  file.put("v.patch_embd.weight", {2}, {1, 2});
  const TemporaryFolder made;
  testing::write_file(made.path() / "model.gguf", file.bytes());
  EXPECT_THAT(message_of<ModelError>([&] { open_model(made.path() / "model.gguf"); }),
              AllOf(HasSubstr("'v.patch_embd.weight'"), HasSubstr("gemma3, mistral3, qwen25vl"),
                    HasSubstr("this is 'qwen2'"), HasSubstr("--mmproj none")));
}

}  // namespace
}  // namespace mmbatch
