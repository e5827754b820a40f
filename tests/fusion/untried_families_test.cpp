// Combinations that no reference folder has, against plain loops in double precision (plain_model.h):
// PaliGemma 2 with a text_config that leaves its heads out, and LLaVA's layout with a SigLIP tower and
// Mistral or Gemma text.

#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/base/threads.h"
#include "fusion/prompting.h"
#include "tests/engine/tiny_decoder.h"
#include "tests/fusion/model_folder.h"
#include "tests/fusion/plain_model.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;
using testing::ModelFolder;
using testing::TensorFile;

constexpr std::size_t kImage = 56, kPatch = 14, kVision = 24, kVisionHeads = 3, kHidden = 32, kFfn = 40;

/// Widths of a text decoder.
struct TextSizes {
  std::size_t vocab, layers, heads, kv_heads, head_dim;
};

void add_vision(TensorFile& file, const std::string& prefix, std::size_t layers) {
  const auto weight = [&](const std::string& name, std::vector<std::size_t> shape) {
    file.add_random(prefix + name, shape, 0, 0.3f);
  };
  const std::size_t patches = kImage / kPatch * (kImage / kPatch);
  file.add_random(prefix + "embeddings.patch_embedding.weight", {kVision, 3, kPatch, kPatch}, 0, 0.05f);
  weight("embeddings.patch_embedding.bias", {kVision});
  weight("embeddings.position_embedding.weight", {patches, kVision});
  const auto norm = [&](const std::string& name) {
    file.add_random(prefix + name + ".weight", {kVision}, 1, 0.1f);
    weight(name + ".bias", {kVision});
  };
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const std::string name = "encoder.layers." + std::to_string(layer) + ".";
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      weight(name + "self_attn." + part + ".weight", {kVision, kVision});
      weight(name + "self_attn." + part + ".bias", {kVision});
    }
    weight(name + "mlp.fc1.weight", {kFfn, kVision});
    weight(name + "mlp.fc1.bias", {kFfn});
    weight(name + "mlp.fc2.weight", {kVision, kFfn});
    weight(name + "mlp.fc2.bias", {kVision});
    norm(name + "layer_norm1");
    norm(name + "layer_norm2");
  }
  norm("post_layernorm");
}

void add_text(TensorFile& file, const std::string& prefix, const TextSizes& sizes) {
  const float deviation = 1.0f / std::sqrt(static_cast<float>(kHidden));
  file.add_random(prefix + "embed_tokens.weight", {sizes.vocab, kHidden}, 0, 0.5f);
  file.add_random(prefix + "norm.weight", {kHidden}, 0.5f, 0.1f);
  for (std::size_t layer = 0; layer < sizes.layers; ++layer) {
    const std::string name = prefix + "layers." + std::to_string(layer) + ".";
    const std::size_t query = sizes.heads * sizes.head_dim, key = sizes.kv_heads * sizes.head_dim;
    for (const char* norm : {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                             "post_feedforward_layernorm"}) {
      file.add_random(name + norm + ".weight", {kHidden}, 0.5f, 0.1f);
    }
    file.add_random(name + "self_attn.q_proj.weight", {query, kHidden}, 0, deviation);
    file.add_random(name + "self_attn.k_proj.weight", {key, kHidden}, 0, deviation);
    file.add_random(name + "self_attn.v_proj.weight", {key, kHidden}, 0, deviation);
    file.add_random(name + "self_attn.o_proj.weight", {kHidden, query}, 0, deviation / 4);
    file.add_random(name + "mlp.gate_proj.weight", {kFfn, kHidden}, 0, deviation);
    file.add_random(name + "mlp.up_proj.weight", {kFfn, kHidden}, 0, deviation);
    file.add_random(name + "mlp.down_proj.weight", {kHidden, kFfn}, 0, deviation);
  }
}

/// Another model beside the tokenizer and preprocessing of a reference folder.
void replace_model(const ModelFolder& folder, const Json& config, const TensorFile& file) {
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().string().find("safetensors") != std::string::npos) std::filesystem::remove(entry.path());
  }
  testing::write_file(folder.path() / "config.json", config.dump());
  file.write(folder.path() / "model.safetensors");
}

Image picture() {
  Image image(kImage, kImage);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 37 % 251);
  return image;
}

plain::Rows rows_of(const Matrix<float>& matrix) {
  plain::Rows rows;
  for (std::size_t r = 0; r < matrix.rows(); ++r)
    rows.emplace_back(matrix.row(r), matrix.row(r) + matrix.cols());
  return rows;
}

void expect_near(const Matrix<float>& found, const plain::Rows& expected, double allowed) {
  ASSERT_EQ(found.rows(), expected.size());
  ASSERT_EQ(found.cols(), expected[0].size());
  double worst = 0, largest = 0;
  for (std::size_t r = 0; r < found.rows(); ++r) {
    for (std::size_t i = 0; i < found.cols(); ++i) {
      worst = std::max(worst, std::abs(expected[r][i] - static_cast<double>(found.row(r)[i])));
      largest = std::max(largest, std::abs(expected[r][i]));
    }
  }
  EXPECT_LE(worst, allowed * std::max(1.0, largest));
  EXPECT_GT(largest, 0.1) << "nothing to compare";
}

/// What the engine makes of the picture and a text.
struct Found {
  EncodedImage image;
  plain::Rows pixels;
  std::shared_ptr<const Prompt> prompt;
  Matrix<float> logits;  // of all positions
};

Found compute(const Model& model, const std::string& text) {
  Found found;
  const PixelValues pixels = model.files().images->prepare(picture());
  const Config preparation = Config::read(model.files().folder / "preprocessor_config.json");
  found.pixels = rows_of(Preprocessor(preparation).pixel_values(picture()));
  const PixelValues* images[] = {&pixels};
  Scratch scratch;
  found.image = {model.images()->encode(images, scratch).projected.front(), 1};
  found.prompt =
      Prompting(model.files()).compose(Prompting(model.files()).encode(text, 1), std::span(&found.image, 1));
  found.logits = testing::logits_in_one_piece(*model.decoder(), *found.prompt);
  return found;
}

/// Embeddings of the prompt's tokens, image rows in their places, all times `scale`.
plain::Rows inputs(const plain::Tensors& t, const std::string& table, const Found& found,
                   const plain::Rows& features, double scale) {
  const plain::Row embedding = t.vector(table);
  plain::Rows x;
  for (std::size_t p = 0; p < found.prompt->tokens(); ++p) {
    const std::size_t first = found.prompt->features.front().begin, at = p - first;
    if (p >= first && at < features.size()) {
      x.push_back(features[at]);
    } else {
      const auto begin = embedding.begin() + found.prompt->ids[p] * static_cast<std::ptrdiff_t>(kHidden);
      x.emplace_back(begin, begin + kHidden);
    }
  }
  return plain::mapped(x, [&](double v) { return v * scale; });
}

// Published text_configs of PaliGemma 2 leave out heads, head_dim and query_pre_attn_scalar: the tensors'
// shapes tell which class defaults are meant.
TEST(UntriedFamilies, PaliGemma2WithoutHeadsInItsConfig) {
  const TextSizes sizes{520, 3, 8, 4, 256};
  TensorFile file;
  add_vision(file, "vision_tower.vision_model.", 2);
  add_text(file, "language_model.model.", sizes);
  file.add_random("multi_modal_projector.linear.weight", {kHidden, kVision}, 0, 0.3f);
  file.add_random("multi_modal_projector.linear.bias", {kHidden}, 0, 0.3f);
  const Json config = {{"architectures", {"PaliGemmaForConditionalGeneration"}},
                       {"image_token_index", 500},
                       {"text_config",
                        {{"model_type", "gemma2"},
                         {"hidden_size", kHidden},
                         {"intermediate_size", kFfn},
                         {"num_hidden_layers", sizes.layers},
                         {"sliding_window", 5},
                         {"vocab_size", sizes.vocab}}},
                       {"vision_config",
                        {{"model_type", "siglip_vision_model"},
                         {"hidden_size", kVision},
                         {"image_size", kImage},
                         {"intermediate_size", kFfn},
                         {"num_attention_heads", kVisionHeads},
                         {"num_hidden_layers", 2},
                         {"patch_size", kPatch}}}};
  const ModelFolder folder("paligemma");
  replace_model(folder, config, file);
  const auto model = Model::load(folder.path());
  EXPECT_EQ(model->spec().decoder.layers[0].attention.shape.kv_heads, 4u);
  const Found found = compute(*model, "what is it?\n");

  const plain::Tensors t{*model->files().weights};
  plain::Rows features =
      plain::siglip(t, "vision_tower.vision_model.", 2, kImage, kPatch, kVisionHeads, found.pixels);
  features = t.linear("multi_modal_projector.linear",
                      t.layer_norm("vision_tower.vision_model.post_layernorm", features));
  const double width = std::sqrt(static_cast<double>(kHidden));
  features = plain::mapped(features, [&](double v) { return v / width; });
  expect_near(*found.image.features, features, 1e-4);

  plain::Decoder decoder{"language_model.model.", sizes.layers, {8, 4, 256, 1.0 / 16, 50.0}};
  decoder.norm_offset = 1;
  decoder.norms_after = true;
  decoder.activation = plain::gelu_tanh;
  decoder.window = [](std::size_t) { return 0; };  // holds for what follows the prompt
  decoder.prefix_end = found.prompt->tokens();
  const std::string table = "language_model.model.embed_tokens";
  const plain::Rows last = plain::decode(t, decoder, inputs(t, table + ".weight", found, features, width));
  const plain::Rows logits =
      plain::mapped(t.linear(table, last), [](double v) { return 30 * std::tanh(v / 30); });
  expect_near(found.logits, logits, 1e-3);
}

struct LlavaText {
  const char* type;
  Json config;
  TextSizes sizes;
  bool gemma;
};

class UntriedLlava : public ::testing::TestWithParam<LlavaText> {};

// A SigLIP tower has no class token: "default" takes all patches but for one that is not there, so "full" it
// is.
TEST_P(UntriedLlava, SiglipTowerAndAnotherText) {
  const LlavaText& text = GetParam();
  const TextSizes& sizes = text.sizes;
  TensorFile file;
  add_vision(file, "vision_tower.vision_model.", 3);
  add_text(file, "language_model.model.", sizes);
  if (!text.gemma) file.add_random("language_model.lm_head.weight", {sizes.vocab, kHidden}, 0, 0.3f);
  for (const auto& [name, in] : {std::pair{"linear_1", kVision}, std::pair{"linear_2", kHidden}}) {
    const std::string layer = std::string("multi_modal_projector.") + name;
    file.add_random(layer + ".weight", {kHidden, in}, 0, 0.3f);
    file.add_random(layer + ".bias", {kHidden}, 0, 0.3f);
  }
  Json config = {{"architectures", {"LlavaForConditionalGeneration"}},
                 {"image_token_index", 480},
                 {"vision_feature_select_strategy", "full"},
                 {"text_config", text.config},
                 {"vision_config",
                  {{"model_type", "siglip_vision_model"},
                   {"hidden_size", kVision},
                   {"image_size", kImage},
                   {"intermediate_size", kFfn},
                   {"num_attention_heads", kVisionHeads},
                   {"num_hidden_layers", 3},
                   {"patch_size", kPatch}}}};
  config["text_config"].update(Json{{"model_type", text.type},
                                    {"hidden_size", kHidden},
                                    {"intermediate_size", kFfn},
                                    {"num_hidden_layers", sizes.layers},
                                    {"vocab_size", sizes.vocab}});
  const ModelFolder folder("llava-gqa");
  replace_model(folder, config, file);
  // A tokenizer without <pad>.
  folder.edit("tokenizer_config.json", [](Json& c) {
    c.erase("pad_token");
    if (c.contains("added_tokens_decoder")) c["added_tokens_decoder"].erase("481");
  });
  folder.edit("special_tokens_map.json", [](Json& c) { c.erase("pad_token"); });
  folder.edit("added_tokens.json", [](Json& c) { c.erase("<pad>"); });
  folder.edit("generation_config.json", [](Json& c) { c.erase("pad_token_id"); });
  const auto model = Model::load(folder.path());
  EXPECT_EQ(model->spec().suppressed, std::vector<std::int32_t>{480});
  const Found found = compute(*model, "USER: <image>\nwhat is it? ASSISTANT:");

  const plain::Tensors t{*model->files().weights};
  // Feature layer -2: the last of three blocks does not run.
  plain::Rows features =
      plain::siglip(t, "vision_tower.vision_model.", 2, kImage, kPatch, kVisionHeads, found.pixels);
  features = t.linear("multi_modal_projector.linear_2",
                      plain::mapped(t.linear("multi_modal_projector.linear_1", features), plain::gelu_erf));
  // Gemma multiplies its embeddings, and not what takes their place.
  const double width = text.gemma ? std::sqrt(static_cast<double>(kHidden)) : 1;
  features = plain::mapped(features, [&](double v) { return v / width; });
  expect_near(*found.image.features, features, 1e-4);

  const double scale = 1 / std::sqrt(static_cast<double>(sizes.head_dim));
  plain::Decoder decoder{
      "language_model.model.", sizes.layers, {sizes.heads, sizes.kv_heads, sizes.head_dim, scale}};
  decoder.norm_offset = text.gemma ? 1 : 0;
  decoder.activation = text.gemma ? plain::gelu_tanh : plain::silu;
  decoder.window = [&](std::size_t) { return text.gemma ? 0 : 9; };
  const plain::Rows last = plain::decode(
      t, decoder, inputs(t, "language_model.model.embed_tokens.weight", found, features, width));
  expect_near(found.logits,
              t.linear(text.gemma ? "language_model.model.embed_tokens" : "language_model.lm_head", last),
              1e-3);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, UntriedLlava,
    ::testing::Values(LlavaText{"mistral",
                                {{"num_attention_heads", 4},
                                 {"num_key_value_heads", 2},
                                 {"sliding_window", 9},
                                 {"head_dim", 12},
                                 {"rms_norm_eps", 1e-6}},
                                {512, 2, 4, 2, 12},
                                false},
                      LlavaText{"gemma",
                                {{"num_attention_heads", 2}, {"num_key_value_heads", 1}, {"head_dim", 16}},
                                {512, 2, 2, 1, 16},
                                true}),
    [](const auto& info) { return std::string(info.param.type); });

}  // namespace
}  // namespace mmbatch
