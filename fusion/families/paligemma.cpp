// PaliGemma (arXiv 2407.07726) and PaliGemma 2: SigLIP, one linear layer, Gemma or Gemma 2. Images stand
// before BOS and text, and all positions of the prompt see each other.

#include <cmath>

#include "fusion/families/families.h"

namespace mmbatch {
namespace paligemma {
namespace {

/// A config.json without vision_config: So400m/14 at 224 pixels. Its feed-forward width is 4096 by the class,
/// 4304 in the published files: what is stored decides.
TowerDefaults tower_defaults(const Config& config, const WeightSource& weights, const std::string& prefix) {
  TowerDefaults tower{"siglip_vision_model", {}};
  tower.sizes.activation = Activation::gelu_tanh;
  tower.sizes.norm_eps = 1e-6;
  tower.sizes.patch_size = 16;
  if (config.has("vision_config")) return tower;
  const std::string first = prefix + "encoder.layers.0.mlp.fc1.weight";
  tower.sizes.hidden = 1152;
  tower.sizes.ffn = weights.has(first) && weights.tensor(first).rows() == 4096 ? 4096 : 4304;
  tower.sizes.layers = 27;
  tower.sizes.heads = 16;
  tower.sizes.patch_size = 14;
  return tower;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  VisionSpec vision;
  vision.prefix = clip_tower_prefix(weights);
  vision.encoder =
      parse_vision_tower(config.object("vision_config"), tower_defaults(config, weights, vision.prefix));
  vision.encoder.norm_after = "post_layernorm";
  vision.encoder.select = FeatureSelect::all;
  const std::string projector = projector_prefix(weights, "linear.weight");
  check_tower_layers(config.object("vision_config"), weights, vision);
  vision.resize_backend = resize_backend_of(weights);
  vision.projector.in = vision.encoder.hidden();
  // The decoder multiplies every input row by sqrt(hidden); image rows are meant to stay as they are.
  vision.projector.ops = {LinearOp{.layer = {projector + "linear", text_hidden}},
                          ScaleOp{1.0f / std::sqrt(static_cast<float>(text_hidden))}};
  return vision;
}

/// A config.json without text_config: Gemma 2B.
Config default_text(const Config& config) {
  const std::int64_t vocab = config.integer(config.first_of({"vocab_size", "_vocab_size"}), 257152);
  return Config::parse(R"({"hidden_size": 2048, "num_hidden_layers": 18, "intermediate_size": 16384,
                           "num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": )" +
                           std::to_string(vocab) + "}",
                       config.source());
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  const Config text_config = config.has("text_config") ? config.object("text_config") : default_text(config);
  TextModel text =
      read_text_model(text_config.text("model_type", "gemma"),
                      {text_config, config, weights, {"language_model.model.", "model.language_model."}});
  ModelSpec spec;
  spec.family = "paligemma";
  spec.decoder = std::move(text.decoder);
  spec.decoder_names = std::move(text.names);
  spec.vision = parse_vision(config, weights, spec.decoder.hidden);
  spec.image_token_id = parse_image_token(config, 256000, spec.decoder.vocab);
  spec.placement = ImagePlacement::before_text;
  spec.visibility = PromptVisibility::prompt;
  // Gemma 2's windows hold for what follows the prompt.
  for (LayerConfig& layer : spec.decoder.layers) layer.attention.shape.ranges = RangeView::whole;
  spec.suppressed = {spec.image_token_id};
  spec.regions = RegionFormat::location_tokens_of_1024;
  spec.turn_format = "line";
  spec.eos = {1};
  return spec;
}

}  // namespace
}  // namespace paligemma

Family paligemma_family() {
  return {"paligemma", {"PaliGemmaForConditionalGeneration"}, {"paligemma"}, paligemma::parse};
}

}  // namespace mmbatch
