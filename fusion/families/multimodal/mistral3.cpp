// Mistral Small 3.1 and later, and Ministral 3: a vision transformer with rotary positions that takes
// pictures in their own shape (Pixtral), squares of two by two patches merged, two linear
// layers, Mistral. Each row of an image ends with a mark.

#include "fusion/families/families.h"
#include "fusion/image_preparation.h"

namespace mmbatch {
namespace mistral3 {
namespace {

VisionSpec parse_vision(const Config& config, const WeightSource& weights, const DecoderConfig& text) {
  VisionSpec vision;
  add_pixtral_tower(config, weights, vision);
  const std::int64_t merge = config.integer("spatial_merge_size", 2, {1, 64});
  const Config processor = weights.json_file("processor_config.json");
  if (processor.integer("spatial_merge_size", merge) != merge)
    processor.fail("spatial_merge_size", "differs from that of config.json: only one of the two can hold");
  vision.form = OwnShapeWithin{
      {.patch_size = static_cast<int>(vision.encoder.patch_size), .merge = static_cast<int>(merge)}};
  const std::string projector = projector_prefix(weights, "linear_1.weight");
  const Bias bias = config.flag("multimodal_projector_bias", false) ? Bias::present : Bias::absent;
  vision.projector.in = vision.encoder.hidden();
  // Read before the list: GCC 12 destroys parts of it twice when an initialiser in it throws.
  const Activation activation = parse_activation(config, "projector_hidden_act", Activation::gelu);
  vision.projector.ops = {
      NormOp{.name = projector + "norm", .norm = {NormKind::rms, text.norm.eps, 0.0f}},
      PixelShuffleOp{.side = static_cast<std::size_t>(merge), .order = ShuffleOrder::channels},
      LinearOp{.layer = {projector + "patch_merger.merging_layer", vision.encoder.hidden()},
               .bias = Bias::absent},
      LinearOp{.layer = {projector + "linear_1", text.hidden}, .bias = bias, .activation = activation},
      LinearOp{.layer = {projector + "linear_2", text.hidden}, .bias = bias}};
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"mistral3", "mistral", 10});
  spec.vision = parse_vision(config, weights, spec.decoder);
  set_pixtral_turns(spec);
  return spec;
}

}  // namespace
}  // namespace mistral3

Family mistral3_family() {
  return {"mistral3", {"Mistral3ForConditionalGeneration"}, {"mistral3"}, mistral3::parse};
}

}  // namespace mmbatch
