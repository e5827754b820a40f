// LLaVA-NeXT (LLaVA-1.6) and everything in its published layout: LLaVA, where an image is seen as a whole and
// in tiles, each row of whose features ends with a learned newline.

#include "fusion/families/families.h"

namespace mmbatch {
namespace llava_next {
namespace {

std::vector<GridPinpoint> read_pinpoints(const Config& config) {
  std::vector<GridPinpoint> pinpoints = read_grid_pinpoints(config, "image_grid_pinpoints");
  if (pinpoints.empty()) pinpoints = {{672, 336}, {336, 672}, {672, 672}, {336, 1008}, {1008, 336}};
  return pinpoints;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"llava_next", "llama", 32000});
  spec.vision = parse_llava_vision(config, weights, spec.decoder.hidden);
  if (spec.vision->encoder.select == FeatureSelect::all && !spec.vision->encoder.class_token.empty()) {
    config.fail("vision_feature_select_strategy",
                "a class token has no place in a grid of tiles; use default");
  }
  spec.vision->form = WholeAndTiles{read_pinpoints(config)};
  spec.vision->projector.ops.push_back(
      JoinTilesOp{.newline = weights.prefix_of("image_newline", {"", "model."}) + "image_newline"});
  set_llava_text(config, spec);
  // The published ones were trained on their text model's own format.
  const bool is_mistral = config.object("text_config").text("model_type", "llama") == "mistral";
  spec.turn_format = is_mistral ? "inst" : "user_assistant_curious_human";
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace llava_next

Family llava_next_family() {
  return {"llava_next", {"LlavaNextForConditionalGeneration"}, {"llava_next"}, llava_next::parse};
}

}  // namespace mmbatch
