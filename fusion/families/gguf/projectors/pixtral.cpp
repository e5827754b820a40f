// "pixtral", Mistral Small 3.1 and later: a tower with rotary positions, squares of patches merged, two
// linear layers.

#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/architecture.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {
namespace {

using nlohmann::json;

const std::string kPixtralTower = "vision_tower.", kPixtralLayer = kPixtralTower + "transformer.layers.{}.";

std::vector<RenamedTensor> pixtral_names() {
  const std::string projector = "multi_modal_projector.";
  return {{"v.patch_embd", kPixtralTower + "patch_conv"},
          {"v.pre_ln", kPixtralTower + "ln_pre"},
          {"v.blk.{}.attn_q", kPixtralLayer + "attention.q_proj"},
          {"v.blk.{}.attn_k", kPixtralLayer + "attention.k_proj"},
          {"v.blk.{}.attn_v", kPixtralLayer + "attention.v_proj"},
          {"v.blk.{}.attn_out", kPixtralLayer + "attention.o_proj"},
          {"v.blk.{}.ln1", kPixtralLayer + "attention_norm"},
          {"v.blk.{}.ln2", kPixtralLayer + "ffn_norm"},
          {"v.blk.{}.ffn_gate", kPixtralLayer + "feed_forward.gate_proj"},
          {"v.blk.{}.ffn_up", kPixtralLayer + "feed_forward.up_proj"},
          {"v.blk.{}.ffn_down", kPixtralLayer + "feed_forward.down_proj"},
          {"mm.input_norm", projector + "norm"},
          {"mm.patch_merger", projector + "patch_merger.merging_layer"},
          {"mm.1", projector + "linear_1"},
          {"mm.2", projector + "linear_2"}};
}

/// Query and key rows of Hugging Face's order are stored in pairs.
void put_rotated(std::size_t heads, std::vector<TensorView>& tensors) {
  for (TensorView& tensor : tensors) {
    if (!tensor.name.starts_with(kPixtralTower)) continue;
    if (tensor.name.ends_with("attention.q_proj.weight") || tensor.name.ends_with("attention.k_proj.weight"))
      tensor = reordered_rows(tensor, tensor.name, rows_in_halves(tensor, heads));
  }
}

}  // namespace

void add_pixtral(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  if (!file.has("mm.patch_merger.weight")) {
    file.fail(
        "mm.patch_merger.weight",
        "is missing: Pixtral without merging of patches is not supported, only Mistral Small 3.1 and later");
  }
  put_below("language_model.", model.tensors);
  file.drop("v.token_embd.img_break");  // a row of the text model's table, which is there
  const bool bias = file.has("mm.1.bias");
  file.rename(pixtral_names(), model.tensors);
  if (file.rows() == RotaryRows::pairs) put_rotated(sizes.heads, model.tensors);
  model.image_token = "[IMG]";
  const std::size_t patch = sizes.patch_size;
  model.processor = image_processor(file, json({{"image_processor_type", "PixtralImageProcessor"},
                                                {"size", {{"longest_edge", sizes.image_size}}},
                                                {"patch_size", {{"height", patch}, {"width", patch}}},
                                                {"resample", 3}})
                                              .dump());
  const json config = {
      {"architectures", {"Mistral3ForConditionalGeneration"}},
      {"model_type", "mistral3"},
      {"spatial_merge_size", file.size("spatial_merge_size", 2)},
      {"multimodal_projector_bias", bias},
      {"projector_hidden_act", "gelu"},
      {"vision_feature_layer", -1},
      {"vision_config",
       {{"model_type", "pixtral"},
        {"hidden_size", sizes.hidden},
        {"intermediate_size", sizes.ffn},
        {"num_hidden_layers", sizes.layers},
        {"num_attention_heads", sizes.heads},
        {"image_size", sizes.image_size},
        {"patch_size", patch},
        {"rope_theta", file.number("rope.freq_base", file.metadata().number("clip.rope.freq_base", 10000.0))},
        {"hidden_act", sizes.activation.empty() ? "silu" : sizes.activation}}}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
