// LFM2-VL (arXiv 2511.23404): SigLIP 2 on pictures in their own shape, with learned positions laid over each,
// large ones as tiles and as a whole; squares of two by two patches merged, two linear layers, LFM2.

#include <fmt/format.h>

#include <cmath>

#include "fusion/families/families.h"
#include "fusion/image_preparation.h"

namespace mmbatch {
namespace lfm2_vl {
namespace {

VisionDefaults tower_defaults() {
  VisionDefaults defaults;
  defaults.patch_size = 16;
  defaults.activation = Activation::gelu_tanh;
  defaults.norm_eps = 1e-6;
  return defaults;
}

VisionConfig parse_tower(const Config& config) {
  const std::string type = config.text("model_type", "siglip2_vision_model");
  if (type != "siglip2_vision_model") {
    config.fail("model_type", fmt::format("vision model '{}' is not supported; supported is "
                                          "siglip2_vision_model",
                                          type.substr(0, 80)));
  }
  VisionConfig tower = parse_vision(config, tower_defaults());
  const std::int64_t rows = config.integer("num_patches", 256, {1, 1 << 20});
  const auto side = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(rows))));
  if (side * side != static_cast<std::size_t>(rows))
    config.fail("num_patches", fmt::format("{} is not the square of a whole number", rows));
  tower.positions = InterpolatedPositions{"embeddings.position_embedding", side, PositionSampling::smoothed};
  tower.patch_kernel = PatchKernel::by_pixel;
  tower.patch_bias = Bias::present;
  tower.norm_after = "post_layernorm";
  tower.select = FeatureSelect::all;
  return tower;
}

ProjectorConfig parse_projector(const Config& config, const WeightSource& weights, const VisionConfig& tower,
                                std::size_t text_hidden) {
  const std::string name = projector_prefix(weights, "linear_1.weight");
  const auto hidden = static_cast<std::size_t>(config.integer("projector_hidden_size", 2560, {1, 1 << 20}));
  const Bias bias = config.flag("projector_bias", true) ? Bias::present : Bias::absent;
  // Read before the list: GCC 12 destroys parts of it twice when an initialiser in it throws.
  const Activation activation = parse_activation(config, "projector_hidden_act", Activation::gelu);
  const auto merge = static_cast<std::size_t>(config.integer("downsample_factor", 2, {1, 16}));
  ProjectorConfig projector;
  projector.in = tower.hidden();
  projector.ops.push_back(PixelShuffleOp{.side = merge});
  if (config.flag("projector_use_layernorm", true))
    projector.ops.push_back(NormOp{.name = name + "layer_norm", .norm = {NormKind::layer, 1e-5f, 0.0f}});
  projector.ops.push_back(
      LinearOp{.layer = {name + "linear_1", hidden}, .bias = bias, .activation = activation});
  projector.ops.push_back(LinearOp{.layer = {name + "linear_2", text_hidden}, .bias = bias});
  return projector;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const Config vision_config = config.object("vision_config");
  VisionSpec vision;
  vision.prefix = weights.prefix_of(
      "embeddings.patch_embedding.weight",
      {"model.vision_tower.vision_model.", "vision_tower.vision_model.", "model.vision_tower."});
  vision.encoder = parse_tower(vision_config);
  if (layers_to_run(config, "vision_feature_layer", -1, vision.encoder.layers) != vision.encoder.layers)
    config.fail("vision_feature_layer", "only -1, the last layer, is supported");
  check_tower_layers(vision_config, weights, vision);
  vision.projector = parse_projector(config, weights, vision.encoder, text_hidden);
  vision.form =
      OwnShapeOrTiles{{.patch_size = static_cast<int>(vision.encoder.patch_size),
                       .merge = static_cast<int>(std::get<PixelShuffleOp>(vision.projector.ops[0]).side)}};
  return vision;
}

ImagePlace parse_place(const Config& processor) {
  if (!processor.flag("use_image_special_tokens", true)) return {.marks = TileMarks{}};
  return {.before = "<|image_start|>",
          .after = "<|image_end|>",
          .marks = TileMarks{.tile = "<|img_row_{row}_col_{column}|>",
                             .after_row = "",
                             .whole = "<|img_thumbnail|>",
                             .whole_alone = "",
                             .end = ""}};
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"lfm2_vl", "lfm2", 396},
                                   {"model.language_model.", "language_model.model.", "language_model."});
  spec.vision = parse_vision(config, weights, spec.decoder.hidden);
  spec.place = parse_place(weights.json_file("processor_config.json"));
  spec.padding = PaddingToken::never_generated;
  spec.placeholders = {"<|image_start|>", "<|image_end|>"};
  spec.turn_format = "plain";
  spec.eos = {7};
  return spec;
}

}  // namespace
}  // namespace lfm2_vl

Family lfm2_vl_family() {
  return {"lfm2_vl", {"Lfm2VlForConditionalGeneration"}, {"lfm2_vl", "lfm2-vl"}, lfm2_vl::parse};
}

}  // namespace mmbatch
