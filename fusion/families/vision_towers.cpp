#include <fmt/format.h>

#include "engine/base/error.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace {

VisionDefaults class_defaults(const std::string& type) {
  VisionDefaults defaults;  // of CLIP
  if (type == "siglip_vision_model") {
    defaults.patch_size = 16;
    defaults.activation = Activation::gelu_tanh;
    defaults.norm_eps = 1e-6;
  }
  return defaults;
}

}  // namespace

VisionConfig parse_vision_tower(const Config& vision_config, const TowerDefaults& otherwise) {
  const std::string type = vision_config.text("model_type", otherwise.type);
  const bool named = vision_config.has("model_type");
  VisionConfig vision = parse_vision(vision_config, named ? class_defaults(type) : otherwise.sizes);
  if (type == "clip_vision_model") {
    vision.class_token = "embeddings.class_embedding";
    vision.norm_before = "pre_layrnorm";
    return vision;
  }
  if (type == "siglip_vision_model") {
    vision.patch_bias = Bias::present;
    return vision;
  }
  vision_config.fail("model_type",
                     fmt::format("vision model '{}' is not supported; supported are clip_vision_model "
                                 "and siglip_vision_model",
                                 type));
}

void check_tower_layers(const Config& vision_config, const WeightSource& weights, const VisionSpec& vision) {
  check_layer_count(vision_config, weights, vision.encoder.layer_names.below(vision.prefix),
                    {vision.encoder.layers, vision.encoder.run_layers});
}

GridRope parse_grid_rope(const Config& vision_config, double theta) {
  const Config rope = vision_config.object("rope_parameters");
  const GridRope read{rope.number("rope_theta", theta)};
  if (!(read.theta > 0)) rope.fail("rope_theta", "must be above 0");
  const std::string type = rope.text("rope_type", "axial");
  if (type != "axial" && type != "default")
    rope.fail("rope_type", "only axial and default, which mean the same, are supported in this vision tower");
  return read;
}

std::string clip_tower_prefix(const WeightSource& weights) {
  return weights.prefix_of("embeddings.position_embedding.weight",
                           {"vision_tower.vision_model.", "model.vision_tower.vision_model.", "vision_tower.",
                            "model.vision_tower."});
}

ResizeBackend resize_backend_of(const WeightSource& weights) {
  const bool of_transformers_5 = weights.json_file("processor_config.json").has("image_processor");
  return of_transformers_5 ? ResizeBackend::torchvision : ResizeBackend::pillow_12;
}

std::string projector_prefix(const WeightSource& weights, const std::string& probe) {
  return weights.prefix_of(probe, {"multi_modal_projector.", "model.multi_modal_projector."});
}

}  // namespace mmbatch
