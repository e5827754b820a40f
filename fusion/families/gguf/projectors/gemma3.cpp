// "gemma3": SigLIP, its features averaged over squares, a norm whose weights are stored with 1 added, one
// matrix.

#include <nlohmann/json.hpp>

#include "engine/weights/derived.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {

using nlohmann::json;

void add_gemma3(TowerFile& file, Multimodal& model) {
  const TowerSizes sizes = file.sizes();
  const std::string projector = "multi_modal_projector.";
  put_below("language_model.", model.tensors);
  const TensorView matrix = file.take("mm.input_projection.weight");
  model.tensors.push_back(renamed(matrix, projector + "mm_input_projection_weight", matrix.shape));
  model.tensors.push_back(
      plus(file.take("mm.soft_emb_norm.weight"), projector + "mm_soft_emb_norm.weight", -1.0f));
  file.rename(clip_tower_names("vision_tower.vision_model."), model.tensors);
  model.image_token = "<image_soft_token>";
  // What a square's side does not divide is the family's to refuse.
  const std::size_t square = file.size("projector.scale_factor", 4);
  if (square == 0) file.metadata().fail(file.key("projector.scale_factor"), "must be above 0");
  const std::size_t side = sizes.image_size / sizes.patch_size / square;
  const std::size_t pixels = sizes.image_size;
  model.processor = image_processor(file, json({{"image_processor_type", "Gemma3ImageProcessor"},
                                                {"size", {{"height", pixels}, {"width", pixels}}},
                                                {"resample", 2}})
                                              .dump());
  const json config = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                       {"model_type", "gemma3"},
                       {"mm_tokens_per_image", side * side},
                       {"vision_config",
                        {{"model_type", "siglip_vision_model"},
                         {"hidden_size", sizes.hidden},
                         {"intermediate_size", sizes.ffn},
                         {"num_hidden_layers", sizes.layers},
                         {"num_attention_heads", sizes.heads},
                         {"image_size", pixels},
                         {"patch_size", sizes.patch_size},
                         {"layer_norm_eps", sizes.norm_eps},
                         {"hidden_act", "gelu_pytorch_tanh"}}}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
