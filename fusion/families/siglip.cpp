// SigLIP (arXiv 2303.15343) and SigLIP 2 (arXiv 2502.14786) of one resolution: a dual encoder. A vision
// transformer with an attention pooling head and a text transformer beside it; how well an image and a text
// go together is the sigmoid of their scaled cosine.

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace siglip {
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

/// The first models were trained on canonical text, which their tokenizer's class makes; the tokenizer of the
/// second ones does what there is to do.
TextForm text_form(const WeightSource& weights) {
  const std::string type = weights.json_file("tokenizer_config.json").text("tokenizer_class", "");
  const bool second = type == "GemmaTokenizer" || type == "GemmaTokenizerFast" || type == "Siglip2Tokenizer";
  return second ? TextForm::as_is : TextForm::canonical;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  const Config text_config = config.object("text_config");
  ModelSpec spec;
  spec.family = "siglip";
  const TextForm form = text_form(weights);
  spec.vision = parse_vision(config.object("vision_config"), weights);
  if (form == TextForm::canonical) spec.vision->resize_backend = ResizeBackend::pillow_12;
  spec.dual = DualEncoderSpec{
      .text = parse_text_encoder(text_config, text_defaults()),
      .text_prefix = "text_model.",
      .text_form = form,
      .similarity = {.scale = "logit_scale", .bias = "logit_bias", .labels = LabelProbabilities::sigmoid}};
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
}  // namespace siglip

Family siglip_family() {
  return {"siglip", {"SiglipModel"}, {"siglip"}, siglip::parse};
}

}  // namespace mmbatch
