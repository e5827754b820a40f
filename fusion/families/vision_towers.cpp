#include <fmt/format.h>

#include "engine/base/error.h"
#include "fusion/families/families.h"

namespace mmbatch {

VisionConfig parse_vision_tower(const Config& vision_config, const VisionDefaults& defaults_of_clip) {
  const std::string type = vision_config.text("model_type", "clip_vision_model");
  if (type == "clip_vision_model") {
    VisionConfig vision = parse_vision(vision_config, defaults_of_clip);
    vision.class_token = "embeddings.class_embedding";
    vision.norm_before = "pre_layrnorm";
    return vision;
  }
  if (type == "siglip_vision_model") {
    VisionDefaults defaults;
    defaults.patch_size = 16;
    defaults.activation = Activation::gelu_tanh;
    defaults.norm_eps = 1e-6;
    VisionConfig vision = parse_vision(vision_config, defaults);
    vision.patch_bias = Bias::present;
    return vision;
  }
  vision_config.fail("model_type",
                     fmt::format("vision model '{}' is not supported; supported are clip_vision_model "
                                 "and siglip_vision_model",
                                 type));
}

}  // namespace mmbatch
