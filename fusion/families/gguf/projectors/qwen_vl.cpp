// "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger": towers of the Qwen VL families, whose patches are
// stored in two halves, one for each of two frames.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "fusion/families/gguf/architecture.h"
#include "fusion/families/gguf/projectors/block_tower.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::string kStoredTower(kQwenTower), kBlock = kStoredTower + "blocks.{}.";
constexpr std::size_t kMaxDeepstackLayers = 64;
/// Sections of the axes that alternate, where the file does not say: of Qwen3-VL, and of Qwen 3.5.
const TextAxes kInterleaved = {{24, 20, 20}, AxisOrder::interleaved},
               kInterleaved35 = {{11, 11, 10}, AxisOrder::interleaved};

void append(std::vector<RenamedTensor>& names, std::vector<RenamedTensor> more) {
  names.insert(names.end(), more.begin(), more.end());
}

std::vector<RenamedTensor> tower_names() {
  return {{"v.patch_embd", kStoredTower + "patch_embed.proj"},
          {"v.blk.{}.attn_qkv", kBlock + "attn.qkv"},
          {"v.blk.{}.attn_out", kBlock + "attn.proj"},
          {"v.blk.{}.ln1", kBlock + "norm1"},
          {"v.blk.{}.ln2", kBlock + "norm2"},
          {"mm.0", kStoredTower + "merger.mlp.0"},
          {"mm.2", kStoredTower + "merger.mlp.2"},
          {"v.post_ln", kStoredTower + "merger.ln_q"}};
}

json tower_config(const TowerFile& file, const TowerSizes& sizes) {
  return {{"depth", sizes.layers},    {"num_heads", sizes.heads},
          {"in_channels", 3},         {"patch_size", sizes.patch_size},
          {"temporal_patch_size", 2}, {"spatial_merge_size", file.size("spatial_merge_size", 2)}};
}

/// How many tokens an image takes at least in the published processors.
constexpr std::size_t kLeastTokens = 4, kLeastTokens3 = 64;

/// Pixels as the published processors bound them, where the file does not say.
std::string processor(const TowerFile& file, const json& vision, std::size_t least) {
  const std::size_t merge = vision["spatial_merge_size"];
  const std::size_t block = vision["patch_size"].get<std::size_t>() * merge;
  const std::size_t most = file.size("image_max_pixels", 16384 * block * block);
  return image_processor(
      file, json({{"image_processor_type", "Qwen2VLImageProcessor"},
                  {"min_pixels", file.size("image_min_pixels", std::min(most, least * block * block))},
                  {"max_pixels", most},
                  {"patch_size", vision["patch_size"]},
                  {"temporal_patch_size", 2},
                  {"merge_size", merge},
                  {"resample", 3}})
                .dump());
}

/// Of the published processors of Qwen3-VL and Qwen 3.5: all frames of a video together have so many pixels.
std::string video_processor(const TowerFile& file, const json& vision) {
  return json({{"video_processor_type", "Qwen3VLVideoProcessor"},
               {"size", {{"shortest_edge", 4096}, {"longest_edge", 25165824}}},
               {"patch_size", vision["patch_size"]},
               {"temporal_patch_size", 2},
               {"merge_size", vision["spatial_merge_size"]},
               {"image_mean", file.mean()},
               {"image_std", file.deviation()}})
      .dump();
}

struct Described {
  const char* model_type;
  const char* class_name;
  json vision;
};

void finish(const TowerFile& file, Multimodal& model, Described described) {
  model.image_token = "<|image_pad|>";
  described.vision["model_type"] = described.model_type;
  model.processor =
      processor(file, described.vision, model.video_processor.empty() ? kLeastTokens : kLeastTokens3);
  const json config = {{"architectures", {described.class_name}},
                       {"model_type", described.model_type},
                       {"vision_config", described.vision}};
  model.config = whole_config(model, config.dump());
}

std::size_t text_width(const Multimodal& model) {
  return uniform_size(model.text, "embedding_length");
}

/// The layers that DeepStack taps: those that have a merger of their own.
std::vector<std::size_t> deepstack_layers(const TowerFile& file) {
  const std::string prefix = "v.deepstack.", ending = ".norm.weight";
  std::vector<std::size_t> layers;
  for (const std::string& name : file.names_below(prefix)) {
    if (!name.ends_with(ending)) continue;
    const char *begin = name.data() + prefix.size(), *end = name.data() + name.size() - ending.size();
    std::size_t layer = 0;
    const auto read = std::from_chars(begin, end, layer);
    if (read.ec != std::errc() || read.ptr != end) file.fail(name, "names no layer");
    layers.push_back(layer);
    if (layers.size() > kMaxDeepstackLayers)
      file.fail(name, fmt::format("more than {} layers of DeepStack", kMaxDeepstackLayers));
  }
  std::sort(layers.begin(), layers.end());
  return layers;
}

}  // namespace

void add_qwen2_vl(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  json vision = tower_config(file, sizes);
  vision["embed_dim"] = sizes.hidden;
  vision["hidden_size"] = text_width(model);
  // A ratio that gives the width again, rounded down.
  vision["mlp_ratio"] = (static_cast<double>(sizes.ffn) + 0.5) / static_cast<double>(sizes.hidden);
  vision["hidden_act"] = sizes.activation.empty() ? "quick_gelu" : sizes.activation;
  put_frame_patches(file, model);
  put_joined_attention(file, model);
  std::vector<RenamedTensor> names = tower_names();
  append(names, {{"v.blk.{}.ffn_up", kBlock + "mlp.fc1"}, {"v.blk.{}.ffn_down", kBlock + "mlp.fc2"}});
  file.rename(names, model.tensors);
  describe_axes(model, "qwen2_vl_text", {{16, 24, 24}});
  finish(file, model, {"qwen2_vl", "Qwen2VLForConditionalGeneration", vision});
}

void add_qwen2_5_vl(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  json vision = tower_config(file, sizes);
  vision["hidden_size"] = sizes.hidden;
  vision["intermediate_size"] = sizes.ffn;
  vision["out_hidden_size"] = text_width(model);
  vision["hidden_act"] = sizes.activation.empty() ? "silu" : sizes.activation;
  vision["window_size"] = file.size("window_size", 112);
  // Every n-th layer sees the whole image; 0: all of them.
  const std::string listed = file.key("fullatt_block_indexes");
  const bool has_list = file.metadata().has(listed);
  const std::size_t every = has_list ? 1 : file.size("n_wa_pattern");
  auto whole = has_list ? json(file.metadata().integers(listed)) : json::array();
  for (std::size_t layer = 0; !has_list && layer < sizes.layers; ++layer) {
    if (every == 0 || (layer + 1) % every == 0) whole.push_back(layer);
  }
  vision["fullatt_block_indexes"] = whole;
  put_frame_patches(file, model);
  put_joined_attention(file, model);
  std::vector<RenamedTensor> names = tower_names();
  append(names, {{"v.blk.{}.ffn_gate", kBlock + "mlp.gate_proj"},
                 {"v.blk.{}.ffn_up", kBlock + "mlp.up_proj"},
                 {"v.blk.{}.ffn_down", kBlock + "mlp.down_proj"}});
  file.rename(names, model.tensors);
  describe_axes(model, "qwen2_5_vl_text", {{16, 24, 24}});
  finish(file, model, {"qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", vision});
}

void add_qwen3_vl(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  json vision = tower_config(file, sizes);
  vision["hidden_size"] = sizes.hidden;
  vision["intermediate_size"] = sizes.ffn;
  vision["out_hidden_size"] = text_width(model);
  vision["hidden_act"] = "gelu_pytorch_tanh";
  vision["num_position_embeddings"] = file.tensor("v.position_embd.weight").rows();
  model.video_processor = video_processor(file, vision);
  const std::vector<std::size_t> layers = deepstack_layers(file);
  vision["deepstack_visual_indexes"] = layers;
  put_frame_patches(file, model);
  put_joined_attention(file, model);
  std::vector<RenamedTensor> names = {
      {"v.position_embd", kStoredTower + "pos_embed"}, {"mm.0", kStoredTower + "merger.linear_fc1"},
      {"mm.2", kStoredTower + "merger.linear_fc2"},    {"v.post_ln", kStoredTower + "merger.norm"},
      {"v.blk.{}.ffn_up", kBlock + "mlp.linear_fc1"},  {"v.blk.{}.ffn_down", kBlock + "mlp.linear_fc2"}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string from = fmt::format("v.deepstack.{}.", layers[i]);
    const std::string to = fmt::format("{}deepstack_merger_list.{}.", kStoredTower, i);
    append(
        names,
        {{from + "norm", to + "norm"}, {from + "fc1", to + "linear_fc1"}, {from + "fc2", to + "linear_fc2"}});
  }
  append(names, tower_names());
  file.rename(names, model.tensors);
  put_below("model.language_model.", model.tensors, "model.");
  const std::string text = model.text.text("general.architecture", "");
  if (text == "qwen35" || text == "qwen35moe") {
    const bool experts = text == "qwen35moe";
    describe_axes(model, experts ? "qwen3_5_moe_text" : "qwen3_5_text", kInterleaved35);
    return finish(file, model,
                  experts ? Described{"qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration", vision}
                          : Described{"qwen3_5", "Qwen3_5ForConditionalGeneration", vision});
  }
  const bool experts = text == "qwen3vlmoe";
  describe_axes(model, experts ? "qwen3_vl_moe_text" : "qwen3_vl_text", kInterleaved);
  finish(file, model,
         experts ? Described{"qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration", vision}
                 : Described{"qwen3_vl", "Qwen3VLForConditionalGeneration", vision});
}

}  // namespace mmbatch::gguf
