// SigLIP (arXiv 2303.15343): a dual encoder. A vision transformer with an attention pooling head and a text
// transformer beside it; how well an image and a text go together is the sigmoid of their scaled cosine.

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace {

TextDefaults text_defaults() {
  TextDefaults defaults;
  defaults.activation = Activation::gelu_tanh;
  defaults.norm_eps = 1e-6;
  return defaults;
}

TowerDefaults tower_defaults() {
  TowerDefaults tower{"siglip_vision_model", {}};
  tower.sizes.activation = Activation::gelu_tanh;
  tower.sizes.norm_eps = 1e-6;
  tower.sizes.patch_size = 16;
  return tower;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights) {
  VisionSpec vision;
  vision.prefix = "vision_model.";
  vision.encoder = parse_vision_tower(config, tower_defaults());
  vision.encoder.norm_after = "post_layernorm";
  vision.encoder.select = FeatureSelect::all;
  if (!config.flag("vision_use_head", true)) {
    config.fail("vision_use_head", "false is not supported: without the pooling head there is no embedding");
  }
  check_layer_count(config, weights, vision.encoder.layer_names.below(vision.prefix),
                    {vision.encoder.layers, vision.encoder.layers});
  vision.projector.in = vision.encoder.hidden();
  vision.projector.ops = {PoolOp{.prefix = vision.prefix + "head.", .layer = vision.encoder.layer},
                          UnitLengthOp{}};
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  const Config text_config = config.object("text_config");
  ModelSpec spec;
  spec.family = "siglip";
  spec.vision = parse_vision(config.object("vision_config"), weights);
  spec.dual = DualEncoderSpec{parse_text_encoder(text_config, text_defaults()), "text_model.", "logit_scale",
                              "logit_bias"};
  const TextEncoderConfig& text = spec.dual->text;
  check_layer_count(text_config, weights, text.layer_names.below(spec.dual->text_prefix),
                    {text.layers, text.layers});
  const std::size_t image_width = spec.vision->encoder.hidden(), text_width = spec.dual->text.width;
  if (image_width != text_width) {
    text_config.fail(
        "projection_size",
        fmt::format("texts become {} numbers, images {} (vision_config.hidden_size): they cannot "
                    "be compared",
                    text_width, image_width));
  }
  spec.turn_format = "plain";
  return spec;
}

}  // namespace

Family siglip_family() {
  return {"siglip", {"SiglipModel"}, {"siglip"}, parse};
}

}  // namespace mmbatch
