// "glm4v", GLM-OCR: a tower of Qwen's kind with norms of each head's queries and keys; a convolution over
// each block of patches, then a gated layer.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fusion/families/gguf/architecture.h"
#include "fusion/families/gguf/projectors/block_tower.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

constexpr std::size_t kFrames = 2, kMerge = 2;
/// Of the published processor, which counts a picture's pixels once for each frame.
constexpr std::size_t kLeastPixels = 112 * 112, kMostPixels = 28 * 28 * 15000;

std::vector<RenamedTensor> glm4v_names() {
  const std::string tower(kQwenTower), block = tower + "blocks.{}.", merger = tower + "merger.";
  return {{"v.patch_embd", tower + "patch_embed.proj"},
          {"v.post_ln", tower + "post_layernorm"},
          {"v.blk.{}.attn_qkv", block + "attn.qkv"},
          {"v.blk.{}.attn_out", block + "attn.proj"},
          {"v.blk.{}.attn_q_norm", block + "attn.q_norm"},
          {"v.blk.{}.attn_k_norm", block + "attn.k_norm"},
          {"v.blk.{}.ln1", block + "norm1"},
          {"v.blk.{}.ln2", block + "norm2"},
          {"v.blk.{}.ffn_gate", block + "mlp.gate_proj"},
          {"v.blk.{}.ffn_up", block + "mlp.up_proj"},
          {"v.blk.{}.ffn_down", block + "mlp.down_proj"},
          {"mm.patch_merger", tower + "downsample"},
          {"mm.model.fc", merger + "proj"},
          {"mm.post_norm", merger + "post_projection_norm"},
          {"mm.gate", merger + "gate_proj"},
          {"mm.up", merger + "up_proj"},
          {"mm.down", merger + "down_proj"}};
}

}  // namespace

void add_glm4v(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  for (const char* name : {"v.post_conv_ln.weight", "v.position_embd.weight"}) {
    if (file.has(name))
      file.fail(name, "is of another model than GLM-OCR, the only one supported of its kind");
  }
  const bool bias = file.has("v.blk.0.attn_out.bias");
  put_frame_patches(file, model);
  put_joined_attention(file, model);
  file.rename(glm4v_names(), model.tensors);
  put_below("model.language_model.", model.tensors, "model.");
  describe_axes(model, "glm_ocr_text", {{8, 12, 12}});
  model.image_token = "<|image|>";
  const auto pixels = [&](const char* key, std::size_t otherwise) {
    return file.has_key(key) ? kFrames * file.size(key) : otherwise;
  };
  model.processor = image_processor(file, json({{"image_processor_type", "Glm46VImageProcessor"},
                                                {"size",
                                                 {{"shortest_edge", pixels("image_min_pixels", kLeastPixels)},
                                                  {"longest_edge", pixels("image_max_pixels", kMostPixels)}}},
                                                {"patch_size", sizes.patch_size},
                                                {"temporal_patch_size", kFrames},
                                                {"merge_size", kMerge},
                                                {"resample", 3}})
                                              .dump());
  const json config = {{"architectures", {"GlmOcrForConditionalGeneration"}},
                       {"model_type", "glm_ocr"},
                       {"vision_config",
                        {{"model_type", "glm_ocr_vision"},
                         {"depth", sizes.layers},
                         {"hidden_size", sizes.hidden},
                         {"intermediate_size", sizes.ffn},
                         {"num_heads", sizes.heads},
                         {"in_channels", 3},
                         {"patch_size", sizes.patch_size},
                         {"temporal_patch_size", kFrames},
                         {"spatial_merge_size", kMerge},
                         {"out_hidden_size", uniform_size(model.text, "embedding_length")},
                         {"rms_norm_eps", sizes.norm_eps},
                         {"attention_bias", bias},
                         {"hidden_act", sizes.activation.empty() ? "silu" : sizes.activation}}}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
