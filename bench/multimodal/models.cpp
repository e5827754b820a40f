#include "bench/multimodal/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace mmbatch::bench {
namespace {

using Json = nlohmann::ordered_json;
using Files = std::map<std::string, std::string>;
using Tensors = std::vector<ShapedTensor>;

/// Widths of a decoder's layer of the usual form.
struct Widths {
  std::size_t hidden, ffn, query, key;
};

class List {
 public:
  void matrix(const std::string& name, std::size_t out, std::size_t in) {
    tensors_.push_back({name + ".weight", {out, in}});
  }
  void biased(const std::string& name, std::size_t out, std::size_t in) {
    matrix(name, out, in);
    vector(name + ".bias", out);
  }
  void vector(const std::string& name, std::size_t size) { tensors_.push_back({name, {size}}); }
  void norm(const std::string& name, std::size_t size) { vector(name + ".weight", size); }
  void layer_norm(const std::string& name, std::size_t size) {
    norm(name, size);
    vector(name + ".bias", size);
  }
  void add(const std::string& name, std::vector<std::size_t> shape) {
    tensors_.push_back({name, std::move(shape)});
  }
  void attention(const std::string& layer, const Widths& of) {
    matrix(layer + "self_attn.q_proj", of.query, of.hidden);
    matrix(layer + "self_attn.k_proj", of.key, of.hidden);
    matrix(layer + "self_attn.v_proj", of.key, of.hidden);
    matrix(layer + "self_attn.o_proj", of.hidden, of.query);
  }
  void feed_forward(const std::string& layer, const Widths& of) {
    matrix(layer + "mlp.gate_proj", of.ffn, of.hidden);
    matrix(layer + "mlp.up_proj", of.ffn, of.hidden);
    matrix(layer + "mlp.down_proj", of.hidden, of.ffn);
    norm(layer + "input_layernorm", of.hidden);
    norm(layer + "post_attention_layernorm", of.hidden);
  }
  /// SigLIP's tower, or Idefics3's, which have the same tensors.
  void siglip(const std::string& prefix, std::size_t hidden, std::size_t ffn, std::size_t layers,
              std::size_t patch, std::size_t positions) {
    add(prefix + "embeddings.patch_embedding.weight", {hidden, 3, patch, patch});
    vector(prefix + "embeddings.patch_embedding.bias", hidden);
    add(prefix + "embeddings.position_embedding.weight", {positions, hidden});
    for (std::size_t i = 0; i < layers; ++i) {
      const std::string layer = fmt::format("{}encoder.layers.{}.", prefix, i);
      layer_norm(layer + "layer_norm1", hidden);
      layer_norm(layer + "layer_norm2", hidden);
      for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"})
        biased(layer + "self_attn." + part, hidden, hidden);
      biased(layer + "mlp.fc1", ffn, hidden);
      biased(layer + "mlp.fc2", hidden, ffn);
    }
    layer_norm(prefix + "post_layernorm", hidden);
  }
  Tensors take() { return std::move(tensors_); }

 private:
  Tensors tensors_;
};

Json clip_scaling(Json file) {
  file["image_mean"] = {0.5, 0.5, 0.5};
  file["image_std"] = {0.5, 0.5, 0.5};
  return file;
}

/// The tower that Qwen3-VL 2B and Qwen 3.5 2B have.
constexpr std::size_t kTower = 1024, kTowerFfn = 4096, kTowerPositions = 2304;

Json qwen3_vision(const MultimodalModel& model, const std::vector<int>& taps) {
  return {{"model_type", "qwen3_vl"},
          {"depth", model.tower_layers},
          {"hidden_size", kTower},
          {"intermediate_size", kTowerFfn},
          {"num_heads", 16},
          {"patch_size", 16},
          {"num_position_embeddings", kTowerPositions},
          {"out_hidden_size", 2048},
          {"deepstack_visual_indexes", taps}};
}

Json qwen3_images() {
  return clip_scaling({{"size", {{"shortest_edge", 65536}, {"longest_edge", 16777216}}},
                       {"patch_size", 16},
                       {"temporal_patch_size", 2},
                       {"merge_size", 2}});
}

void add_qwen3_tower(List& list, const MultimodalModel& model, std::size_t taps) {
  const std::string prefix = "model.visual.";
  list.add(prefix + "patch_embed.proj.weight", {kTower, 3, 2, 16, 16});
  list.vector(prefix + "patch_embed.proj.bias", kTower);
  list.matrix(prefix + "pos_embed", kTowerPositions, kTower);
  for (std::size_t i = 0; i < model.tower_layers; ++i) {
    const std::string block = fmt::format("{}blocks.{}.", prefix, i);
    list.layer_norm(block + "norm1", kTower);
    list.layer_norm(block + "norm2", kTower);
    list.biased(block + "attn.qkv", 3 * kTower, kTower);
    list.biased(block + "attn.proj", kTower, kTower);
    list.biased(block + "mlp.linear_fc1", kTowerFfn, kTower);
    list.biased(block + "mlp.linear_fc2", kTower, kTowerFfn);
  }
  const auto merger = [&](const std::string& name, std::size_t norm) {
    list.layer_norm(name + "norm", norm);
    list.biased(name + "linear_fc1", 4 * kTower, 4 * kTower);
    list.biased(name + "linear_fc2", 2048, 4 * kTower);
  };
  merger(prefix + "merger.", kTower);
  for (std::size_t i = 0; i < taps; ++i)
    merger(fmt::format("{}deepstack_merger_list.{}.", prefix, i), 4 * kTower);
}

Files qwen3_vl_files(const MultimodalModel& model) {
  Json text{{"model_type", "qwen3_vl_text"},
            {"hidden_size", 2048},
            {"intermediate_size", 6144},
            {"num_hidden_layers", model.layers},
            {"num_attention_heads", 16},
            {"num_key_value_heads", 8},
            {"head_dim", 128},
            {"vocab_size", 151936},
            {"max_position_embeddings", 262144},
            {"rope_theta", 5000000},
            {"rope_scaling", {{"rope_type", "default"}, {"mrope_section", {24, 20, 20}}}}};
  const Json config{{"architectures", {"Qwen3VLForConditionalGeneration"}},
                    {"model_type", "qwen3_vl"},
                    {"tie_word_embeddings", true},
                    {"text_config", text},
                    {"vision_config", qwen3_vision(model, {0, 1, 2})}};
  return {{"config.json", config.dump()}, {"preprocessor_config.json", qwen3_images().dump()}};
}

Tensors qwen3_vl_tensors(const MultimodalModel& model) {
  List list;
  add_qwen3_tower(list, model, 3);
  const std::string prefix = "model.language_model.";
  const Widths widths{2048, 6144, 2048, 1024};
  list.matrix(prefix + "embed_tokens", 151936, widths.hidden);
  for (std::size_t i = 0; i < model.layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    list.attention(layer, widths);
    list.feed_forward(layer, widths);
    list.norm(layer + "self_attn.q_norm", 128);
    list.norm(layer + "self_attn.k_norm", 128);
  }
  list.norm(prefix + "norm", widths.hidden);
  return list.take();
}

Files qwen2_5_vl_files(const MultimodalModel& model) {
  const Json vision{{"depth", model.tower_layers}, {"hidden_size", 1280},
                    {"intermediate_size", 3420},   {"num_heads", 16},
                    {"out_hidden_size", 2048},     {"patch_size", 14},
                    {"window_size", 112},          {"fullatt_block_indexes", {model.tower_layers - 1}},
                    {"tokens_per_second", 2}};
  const Json config{{"architectures", {"Qwen2_5_VLForConditionalGeneration"}},
                    {"model_type", "qwen2_5_vl"},
                    {"tie_word_embeddings", true},
                    {"hidden_size", 2048},
                    {"intermediate_size", 11008},
                    {"num_hidden_layers", model.layers},
                    {"num_attention_heads", 16},
                    {"num_key_value_heads", 2},
                    {"vocab_size", 151936},
                    {"max_position_embeddings", 128000},
                    {"rms_norm_eps", 1e-6},
                    {"rope_theta", 1000000.0},
                    {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {16, 24, 24}}}},
                    {"vision_config", vision}};
  const Json images = clip_scaling({{"min_pixels", 3136},
                                    {"max_pixels", 12845056},
                                    {"patch_size", 14},
                                    {"temporal_patch_size", 2},
                                    {"merge_size", 2}});
  return {{"config.json", config.dump()}, {"preprocessor_config.json", images.dump()}};
}

Tensors qwen2_5_vl_tensors(const MultimodalModel& model) {
  List list;
  constexpr std::size_t kHidden = 1280, kFfn = 3420;
  list.add("visual.patch_embed.proj.weight", {kHidden, 3, 2, 14, 14});
  for (std::size_t i = 0; i < model.tower_layers; ++i) {
    const std::string block = fmt::format("visual.blocks.{}.", i);
    list.norm(block + "norm1", kHidden);
    list.norm(block + "norm2", kHidden);
    list.biased(block + "attn.qkv", 3 * kHidden, kHidden);
    list.biased(block + "attn.proj", kHidden, kHidden);
    list.biased(block + "mlp.gate_proj", kFfn, kHidden);
    list.biased(block + "mlp.up_proj", kFfn, kHidden);
    list.biased(block + "mlp.down_proj", kHidden, kFfn);
  }
  list.norm("visual.merger.ln_q", kHidden);
  list.biased("visual.merger.mlp.0", 4 * kHidden, 4 * kHidden);
  list.biased("visual.merger.mlp.2", 2048, 4 * kHidden);
  const Widths widths{2048, 11008, 2048, 256};
  list.matrix("model.embed_tokens", 151936, widths.hidden);
  for (std::size_t i = 0; i < model.layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    list.attention(layer, widths);
    list.feed_forward(layer, widths);
    list.vector(layer + "self_attn.q_proj.bias", widths.query);
    list.vector(layer + "self_attn.k_proj.bias", widths.key);
    list.vector(layer + "self_attn.v_proj.bias", widths.key);
  }
  list.norm("model.norm", widths.hidden);
  return list.take();
}

Files gemma3_files(const MultimodalModel& model) {
  const Json text{
      {"model_type", "gemma3_text"}, {"hidden_size", 2560},
      {"intermediate_size", 10240},  {"num_hidden_layers", model.layers},
      {"sliding_window", 1024},      {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}}};
  const Json vision{{"model_type", "siglip_vision_model"},
                    {"hidden_size", 1152},
                    {"intermediate_size", 4304},
                    {"num_hidden_layers", model.tower_layers},
                    {"num_attention_heads", 16},
                    {"image_size", 896},
                    {"patch_size", 14},
                    {"vision_use_head", false}};
  const Json config{{"architectures", {"Gemma3ForConditionalGeneration"}},
                    {"model_type", "gemma3"},
                    {"mm_tokens_per_image", 256},
                    {"image_token_index", 262144},
                    {"text_config", text},
                    {"vision_config", vision}};
  const Json images = clip_scaling({{"size", {{"height", 896}, {"width", 896}}}, {"resample", 2}});
  return {{"config.json", config.dump()}, {"preprocessor_config.json", images.dump()}};
}

Tensors gemma3_tensors(const MultimodalModel& model) {
  List list;
  list.siglip("vision_tower.vision_model.", 1152, 4304, model.tower_layers, 14, 4096);
  list.norm("multi_modal_projector.mm_soft_emb_norm", 1152);
  list.add("multi_modal_projector.mm_input_projection_weight", {1152, 2560});
  const std::string prefix = "language_model.model.";
  const Widths widths{2560, 10240, 2048, 1024};
  list.matrix(prefix + "embed_tokens", 262208, widths.hidden);
  for (std::size_t i = 0; i < model.layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    list.attention(layer, widths);
    list.feed_forward(layer, widths);
    list.norm(layer + "pre_feedforward_layernorm", widths.hidden);
    list.norm(layer + "post_feedforward_layernorm", widths.hidden);
    list.norm(layer + "self_attn.q_norm", 256);
    list.norm(layer + "self_attn.k_norm", 256);
  }
  list.norm(prefix + "norm", widths.hidden);
  return list.take();
}

Files smolvlm_files(const MultimodalModel& model) {
  const Json text{{"model_type", "llama"},
                  {"hidden_size", 576},
                  {"intermediate_size", 1536},
                  {"num_hidden_layers", model.layers},
                  {"num_attention_heads", 9},
                  {"num_key_value_heads", 3},
                  {"head_dim", 64},
                  {"vocab_size", 49280},
                  {"max_position_embeddings", 8192},
                  {"rms_norm_eps", 1e-5},
                  {"rope_theta", 100000}};
  const Json vision{{"model_type", "idefics3_vision"},
                    {"hidden_size", 768},
                    {"intermediate_size", 3072},
                    {"num_hidden_layers", model.tower_layers},
                    {"num_attention_heads", 12},
                    {"image_size", 512},
                    {"patch_size", 16}};
  const Json config{{"architectures", {"Idefics3ForConditionalGeneration"}},
                    {"model_type", "idefics3"},
                    {"image_token_id", 49190},
                    {"scale_factor", 4},
                    {"tie_word_embeddings", false},
                    {"text_config", text},
                    {"vision_config", vision}};
  const Json images = clip_scaling(
      {{"size", {{"longest_edge", 2048}}}, {"max_image_size", {{"longest_edge", 512}}}, {"resample", 1}});
  return {{"config.json", config.dump()}, {"preprocessor_config.json", images.dump()}};
}

Tensors smolvlm_tensors(const MultimodalModel& model) {
  List list;
  list.siglip("model.vision_model.", 768, 3072, model.tower_layers, 16, 1024);
  list.matrix("model.connector.modality_projection.proj", 576, 16 * 768);
  const std::string prefix = "model.text_model.";
  const Widths widths{576, 1536, 576, 192};
  list.matrix(prefix + "embed_tokens", 49280, widths.hidden);
  for (std::size_t i = 0; i < model.layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    list.attention(layer, widths);
    list.feed_forward(layer, widths);
  }
  list.norm(prefix + "norm", widths.hidden);
  list.matrix("lm_head", 49280, widths.hidden);
  return list.take();
}

constexpr std::size_t kKeyHeads = 16, kValueHeads = 16, kHeadWidth = 128;

Files qwen3_5_files(const MultimodalModel& model) {
  const Json text{{"model_type", "qwen3_5_text"},
                  {"hidden_size", 2048},
                  {"intermediate_size", 6144},
                  {"num_hidden_layers", model.layers},
                  {"full_attention_interval", 4},
                  {"num_attention_heads", 8},
                  {"num_key_value_heads", 2},
                  {"head_dim", 256},
                  {"linear_num_key_heads", kKeyHeads},
                  {"linear_num_value_heads", kValueHeads},
                  {"linear_key_head_dim", kHeadWidth},
                  {"linear_value_head_dim", kHeadWidth},
                  {"linear_conv_kernel_dim", 4},
                  {"vocab_size", 248320},
                  {"max_position_embeddings", 262144},
                  {"rope_parameters",
                   {{"rope_type", "default"},
                    {"rope_theta", 10000000},
                    {"partial_rotary_factor", 0.25},
                    {"mrope_section", {11, 11, 10}}}}};
  const Json config{{"architectures", {"Qwen3_5ForConditionalGeneration"}},
                    {"model_type", "qwen3_5"},
                    {"image_token_id", 248056},
                    {"tie_word_embeddings", true},
                    {"text_config", text},
                    {"vision_config", qwen3_vision(model, {})}};
  return {{"config.json", config.dump()}, {"preprocessor_config.json", qwen3_images().dump()}};
}

Tensors qwen3_5_tensors(const MultimodalModel& model) {
  List list;
  add_qwen3_tower(list, model, 0);
  const std::string prefix = "model.language_model.";
  const Widths widths{2048, 6144, 2048, 512};
  constexpr std::size_t kKeys = kKeyHeads * kHeadWidth, kValues = kValueHeads * kHeadWidth;
  list.matrix(prefix + "embed_tokens", 248320, widths.hidden);
  for (std::size_t i = 0; i < model.layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    list.feed_forward(layer, widths);
    if (i % 4 == 3) {
      // Each query has a gate beside it.
      list.matrix(layer + "self_attn.q_proj", 2 * widths.query, widths.hidden);
      list.matrix(layer + "self_attn.k_proj", widths.key, widths.hidden);
      list.matrix(layer + "self_attn.v_proj", widths.key, widths.hidden);
      list.matrix(layer + "self_attn.o_proj", widths.hidden, widths.query);
      list.norm(layer + "self_attn.q_norm", 256);
      list.norm(layer + "self_attn.k_norm", 256);
      continue;
    }
    const std::string mixer = layer + "linear_attn.";
    list.matrix(mixer + "in_proj_qkv", 2 * kKeys + kValues, widths.hidden);
    list.matrix(mixer + "in_proj_z", kValues, widths.hidden);
    list.matrix(mixer + "in_proj_b", kValueHeads, widths.hidden);
    list.matrix(mixer + "in_proj_a", kValueHeads, widths.hidden);
    list.matrix(mixer + "out_proj", widths.hidden, kValues);
    list.add(mixer + "conv1d.weight", {2 * kKeys + kValues, 1, 4});
    list.norm(mixer + "norm", kHeadWidth);
    list.vector(mixer + "A_log", kValueHeads);
    list.vector(mixer + "dt_bias", kValueHeads);
  }
  list.norm(prefix + "norm", widths.hidden);
  return list.take();
}

constexpr MultimodalModel kModels[] = {
    {"qwen3-vl-2b", 4, 28, 3, 24, qwen3_vl_files, qwen3_vl_tensors},
    {"qwen2.5-vl-3b", 4, 36, 4, 32, qwen2_5_vl_files, qwen2_5_vl_tensors},
    {"gemma3-4b", 6, 34, 3, 27, gemma3_files, gemma3_tensors},
    {"smolvlm-256m", 6, 30, 3, 12, smolvlm_files, smolvlm_tensors},
    {"qwen3.5-2b", 4, 24, 3, 24, qwen3_5_files, qwen3_5_tensors},
};

}  // namespace

std::span<const MultimodalModel> multimodal_models() {
  return kModels;
}

bool is_multimodal_model(std::string_view name) {
  return std::any_of(std::begin(kModels), std::end(kModels),
                     [&](const MultimodalModel& model) { return model.name == name; });
}

const MultimodalModel& find_multimodal_model(std::string_view name) {
  std::string names;
  for (const MultimodalModel& model : kModels) {
    if (model.name == name) return model;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", model.name);
  }
  throw UsageError(fmt::format("--model {}: is none of the vision-language models: {}", name, names));
}

}  // namespace mmbatch::bench
