// CLIP (arXiv 2103.00020): a dual encoder. A vision transformer whose class token becomes the embedding, and
// a causal text transformer whose end of sequence does; the labels of an image share one softmax.

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace clip {
namespace {

/// A tower's config. The first writers put what counts into `…_config_dict`, beside a `…_config` that says
/// the defaults.
Config part(const Config& config, const std::string& name) {
  return config.object(config.has(name + "_dict") ? name + "_dict" : name);
}

TextDefaults text_defaults() {
  TextDefaults defaults;
  defaults.hidden = 512;
  defaults.ffn = 2048;
  defaults.heads = 8;
  defaults.vocab = 49408;
  defaults.positions = 77;
  return defaults;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t width) {
  VisionSpec vision;
  vision.prefix = "vision_model.";
  vision.encoder = parse_vision_tower(config, {"clip_vision_model", {}});
  vision.encoder.select = FeatureSelect::all;
  check_layer_count(config, weights, vision.encoder.layer_names.below(vision.prefix),
                    {vision.encoder.layers, vision.encoder.layers});
  vision.projector.in = vision.encoder.hidden();
  vision.projector.ops = {
      FirstRowOp{}, NormOp{.name = vision.prefix + "post_layernorm", .norm = vision.encoder.layer.norm},
      LinearOp{.layer = {"visual_projection", width}, .bias = Bias::absent}, UnitLengthOp{}};
  return vision;
}

/// The row that becomes the embedding. Files of before 2023 say 2, which is not the id of the end of
/// sequence: there it was the largest id.
TextPooling parse_pooling(const Config& config) {
  const std::int64_t eos = config.integer("eos_token_id", 49407, {0, INT32_MAX});
  if (eos == 2) return LargestToken{};
  return FirstToken{static_cast<std::int32_t>(eos)};
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  const Config text_config = part(config, "text_config");
  const auto width = static_cast<std::size_t>(config.integer("projection_dim", 512, {1, 1 << 20}));
  ModelSpec spec;
  spec.family = "clip";
  spec.vision = parse_vision(part(config, "vision_config"), weights, width);
  DualEncoderSpec& dual = spec.dual.emplace();
  dual.text = parse_text_encoder(text_config, text_defaults());
  dual.text.width = width;
  dual.text.attends = EncoderAttention::causal;
  dual.text.pooling = parse_pooling(text_config);
  dual.text.head = "text_projection";
  dual.text.head_bias = Bias::absent;
  dual.text_prefix = "text_model.";
  dual.text_form = TextForm::as_is;
  dual.similarity = {.scale = "logit_scale", .bias = "", .labels = LabelProbabilities::softmax};
  check_layer_count(text_config, weights, dual.text.layer_names.below(dual.text_prefix),
                    {dual.text.layers, dual.text.layers});
  spec.turn_format = "plain";
  return spec;
}

}  // namespace
}  // namespace clip

Family clip_family() {
  return {"clip", {"CLIPModel"}, {"clip"}, clip::parse};
}

}  // namespace mmbatch
