// Gemma 3 (arXiv 2503.19786) with images: SigLIP, its features averaged over squares of neighbours, a norm,
// one matrix, Gemma 3's text model. The tokens of one image see each other.

#include <cmath>

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace gemma3 {
namespace {

TowerDefaults tower_defaults() {
  TowerDefaults tower{"siglip_vision_model", {}};
  tower.sizes.activation = Activation::gelu_tanh;
  tower.sizes.norm_eps = 1e-6;
  tower.sizes.patch_size = 16;
  return tower;
}

/// The side of the squares that leave `mm_tokens_per_image` rows of an image.
std::size_t pooled_side(const Config& config, const PatchGrid& grid) {
  const std::int64_t tokens = config.integer("mm_tokens_per_image", 256, {1, 1 << 20});
  const auto side = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(tokens))));
  if (side * side == static_cast<std::size_t>(tokens) && grid.rows % side == 0) return grid.rows / side;
  config.fail("mm_tokens_per_image",
              fmt::format("{} rows cannot be made of {} x {} patches", tokens, grid.columns, grid.rows));
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const Config vision_config = config.object("vision_config");
  VisionSpec vision;
  vision.prefix = clip_tower_prefix(weights);
  vision.encoder = parse_vision_tower(vision_config, tower_defaults());
  vision.encoder.norm_after = "post_layernorm";
  vision.encoder.select = FeatureSelect::all;
  vision.resample = Resample::bilinear;
  check_tower_layers(vision_config, weights, vision);
  const std::string matrix = "mm_input_projection_weight";
  const std::string projector = projector_prefix(weights, matrix);
  const NormConfig norm{NormKind::rms, vision.encoder.layer.norm.eps, 1.0f};
  vision.projector.in = vision.encoder.hidden();
  // The decoder multiplies every input row by sqrt(hidden); image rows are meant to stay as they are.
  vision.projector.ops = {AveragePoolOp{pooled_side(config, vision.encoder.grid())},
                          NormOp{.name = projector + "mm_soft_emb_norm", .norm = norm},
                          TimesOp{.tensor = projector + matrix, .out = text_hidden},
                          ScaleOp{1.0f / std::sqrt(static_cast<float>(text_hidden))}};
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"gemma3", "gemma3_text", 262144});
  spec.decoder.logit_softcap = 0.0f;  // transformers applies it to the text-only model alone
  spec.vision = parse_vision(config, weights, spec.decoder.hidden);
  spec.image_token = "<image_soft_token>";
  spec.place = {
      .written = "<start_of_image>", .before = "\n\n<start_of_image>", .after = "<end_of_image>\n\n"};
  spec.visibility = PromptVisibility::images;
  spec.padding = PaddingToken::never_generated;
  spec.turn_format = "start_of_turn";
  spec.eos = {1, 106};
  return spec;
}

}  // namespace
}  // namespace gemma3

Family gemma3_family() {
  return {"gemma3", {"Gemma3ForConditionalGeneration"}, {"gemma3"}, gemma3::parse};
}

}  // namespace mmbatch
