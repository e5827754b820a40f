// "paddleocr", PaddleOCR-VL: SigLIP on pictures of any size, squares of two by two patches merged, two linear
// layers.

#include <nlohmann/json.hpp>

#include "fusion/families/gguf/projectors/block_tower.h"
#include "fusion/families/gguf/projectors/projector_kinds.h"

namespace mmbatch::gguf {

using nlohmann::json;

void add_paddleocr(TowerFile& file, Multimodal& model) {
  constexpr std::size_t kLeastPixels = 384 * 384, kMostPixels = 1536 * 1536;  // of the published processor
  const TowerSizes sizes = file.sizes();
  // The grid of the learned positions; the file's image_size stands for the largest picture.
  const std::size_t places = file.tensor("v.position_embd.weight").rows();
  std::size_t side = 1;
  while (side * side < places) ++side;
  std::vector<RenamedTensor> names = clip_tower_names("visual.vision_model.");
  for (const auto& [own, other] : {std::pair{"mm.input_norm", "mlp_AR.pre_norm"},
                                   {"mm.1", "mlp_AR.linear_1"},
                                   {"mm.2", "mlp_AR.linear_2"}})
    names.emplace_back(own, other);
  file.rename(names, model.tensors);
  describe_axes(model, "paddleocr_vl_text", {{16, 24, 24}});
  model.image_token = "<|IMAGE_PLACEHOLDER|>";
  const std::size_t merge = file.size("projector.scale_factor", 2);
  model.processor = image_processor(file, json({{"image_processor_type", "PaddleOCRVLImageProcessor"},
                                                {"min_pixels", file.size("image_min_pixels", kLeastPixels)},
                                                {"max_pixels", file.size("image_max_pixels", kMostPixels)},
                                                {"patch_size", sizes.patch_size},
                                                {"temporal_patch_size", 1},
                                                {"merge_size", merge},
                                                {"resample", 3}})
                                              .dump());
  const json config = {{"architectures", {"PaddleOCRVLForConditionalGeneration"}},
                       {"model_type", "paddleocr_vl"},
                       {"vision_config",
                        {{"model_type", "paddleocr_vl_vision"},
                         {"hidden_size", sizes.hidden},
                         {"intermediate_size", sizes.ffn},
                         {"num_hidden_layers", sizes.layers},
                         {"num_attention_heads", sizes.heads},
                         {"image_size", side * sizes.patch_size},
                         {"patch_size", sizes.patch_size},
                         {"spatial_merge_size", merge},
                         {"layer_norm_eps", sizes.norm_eps},
                         {"hidden_act", "gelu_pytorch_tanh"}}}};
  model.config = whole_config(model, config.dump());
}

}  // namespace mmbatch::gguf
