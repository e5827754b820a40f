// "internvl", InternVL 3 and 3.5: a tower with layer scale on tiles and on the whole, pixel shuffle, a norm
// and two linear layers.

#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::string kInternVlTower = "vision_tower.", kInternVlLayer = kInternVlTower + "encoder.layer.{}.";

std::vector<RenamedTensor> internvl_names() {
  const std::string projector = "multi_modal_projector.";
  return {{"v.patch_embd", kInternVlTower + "embeddings.patch_embeddings.projection"},
          {"v.post_ln", kInternVlTower + "layernorm"},
          {"v.blk.{}.attn_q", kInternVlLayer + "attention.q_proj"},
          {"v.blk.{}.attn_k", kInternVlLayer + "attention.k_proj"},
          {"v.blk.{}.attn_v", kInternVlLayer + "attention.v_proj"},
          {"v.blk.{}.attn_out", kInternVlLayer + "attention.projection_layer"},
          {"v.blk.{}.attn_q_norm", kInternVlLayer + "attention.q_norm"},
          {"v.blk.{}.attn_k_norm", kInternVlLayer + "attention.k_norm"},
          {"v.blk.{}.ln1", kInternVlLayer + "layernorm_before"},
          {"v.blk.{}.ln2", kInternVlLayer + "layernorm_after"},
          {"v.blk.{}.ls1.weight", kInternVlLayer + "lambda_1"},
          {"v.blk.{}.ls2.weight", kInternVlLayer + "lambda_2"},
          {"v.blk.{}.ffn_up", kInternVlLayer + "mlp.fc1"},
          {"v.blk.{}.ffn_down", kInternVlLayer + "mlp.fc2"},
          {"mm.model.mlp.0", projector + "layer_norm"},
          {"mm.model.mlp.1", projector + "linear_1"},
          {"mm.model.mlp.3", projector + "linear_2"}};
}

/// Stored as a row of numbers, or as rows; [1, rows, width] is what the family reads.
void put_embedding(TowerFile& file, const std::string& from, const std::string& to, Multimodal& model) {
  const TensorView stored = file.take(from);
  const std::size_t width = file.size("embedding_length");
  if (stored.elements() % width != 0) file.fail(from, "its rows are not as wide as the tower");
  model.tensors.push_back(renamed(stored, to, {1, stored.elements() / width, width}));
}

}  // namespace

void add_internvl(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  const bool layer_norm = file.has("v.blk.0.ln1.bias");
  const json vision = {{"model_type", "internvl_vision"},
                       {"hidden_size", sizes.hidden},
                       {"intermediate_size", sizes.ffn},
                       {"num_hidden_layers", sizes.layers},
                       {"num_attention_heads", sizes.heads},
                       {"image_size", {sizes.image_size, sizes.image_size}},
                       {"patch_size", {sizes.patch_size, sizes.patch_size}},
                       {"layer_norm_eps", sizes.norm_eps},
                       {"norm_type", layer_norm ? "layer_norm" : "rms_norm"},
                       {"attention_bias", file.has("v.blk.0.attn_q.bias")},
                       {"use_qk_norm", file.has("v.blk.0.attn_q_norm.weight")},
                       {"use_mean_pooling", !file.has("v.post_ln.weight")},
                       {"hidden_act", sizes.activation.empty() ? "gelu" : sizes.activation}};
  put_below("language_model.", model.tensors);
  put_embedding(file, "v.class_embd", kInternVlTower + "embeddings.cls_token", model);
  put_embedding(file, "v.position_embd.weight", kInternVlTower + "embeddings.position_embeddings", model);
  file.rename(internvl_names(), model.tensors);
  model.image_token = "<IMG_CONTEXT>";
  const auto [least, most] = file.tiles({1, 12});
  model.processor =
      image_processor(file, json({{"image_processor_type", "GotOcr2ImageProcessor"},
                                  {"size", {{"height", sizes.image_size}, {"width", sizes.image_size}}},
                                  {"crop_to_patches", true},
                                  {"min_patches", least},
                                  {"max_patches", most},
                                  {"resample", 3}})
                                .dump());
  const std::size_t side = file.size("projector.scale_factor", 2);
  const json config = {{"architectures", {"InternVLForConditionalGeneration"}},
                       {"model_type", "internvl"},
                       {"downsample_ratio", 1.0 / static_cast<double>(side)},
                       {"projector_hidden_act", "gelu"},
                       {"vision_feature_layer", -1},
                       {"vision_feature_select_strategy", "default"},
                       {"vision_config", vision}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
