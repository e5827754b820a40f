// LLaVA-1.5 (arXiv 2310.03744) and everything in its published layout: a vision tower, a projector of two
// layers, a text decoder; image features stand where the placeholder token stood.

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace llava {
namespace {

/// Defaults of a config.json without vision_config: CLIP-L/14 at 336 pixels.
TowerDefaults tower_defaults(const Config& config) {
  TowerDefaults tower;
  if (config.has("vision_config")) return tower;
  tower.sizes.hidden = 1024;
  tower.sizes.ffn = 4096;
  tower.sizes.layers = 24;
  tower.sizes.heads = 16;
  tower.sizes.image_size = 336;
  tower.sizes.patch_size = 14;
  return tower;
}

/// LLaVA's two linear layers, behind rows as wide as the tower.
void add_projector(const Config& config, const WeightSource& weights, std::size_t text_hidden,
                   VisionSpec& vision) {
  const std::string projector = projector_prefix(weights, "linear_1.weight");
  const Bias bias = config.flag("multimodal_projector_bias", true) ? Bias::present : Bias::absent;
  vision.projector.in = vision.encoder.hidden();
  // Read before the list: GCC 12 destroys parts of it twice when an initialiser in it throws.
  const Activation activation = parse_activation(config, "projector_hidden_act", Activation::gelu);
  vision.projector.ops = {
      LinearOp{.layer = {projector + "linear_1", text_hidden}, .bias = bias, .activation = activation},
      LinearOp{.layer = {projector + "linear_2", text_hidden}, .bias = bias}};
}

/// Pixtral 12B, which transformers publishes as LLaVA: its tower has no class token, so both strategies of
/// choosing features would mean the same.
ModelSpec parse_with_pixtral(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_image_text(config, weights, {"llava", "mistral", 32000});
  VisionSpec vision;
  add_pixtral_tower(config, weights, vision);
  if (config.text("vision_feature_select_strategy", "full") != "full")
    config.fail("vision_feature_select_strategy", "only full is supported for a tower without a class token");
  vision.form = OwnShapeWithin{{.patch_size = static_cast<int>(vision.encoder.patch_size), .merge = 1}};
  add_projector(config, weights, spec.decoder.hidden, vision);
  spec.vision = std::move(vision);
  set_llava_text(config, spec);
  set_pixtral_turns(spec);
  return spec;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  if (config.object("vision_config").text("model_type", "") == "pixtral")
    return parse_with_pixtral(config, weights);
  ModelSpec spec = read_image_text(config, weights, {"llava", "llama", 32000});
  spec.vision = parse_llava_vision(config, weights, spec.decoder.hidden);
  set_llava_text(config, spec);
  spec.turn_format = "user_assistant";
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace llava

VisionSpec parse_llava_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  VisionSpec vision;
  vision.encoder = parse_vision_tower(config.object("vision_config"), llava::tower_defaults(config));
  vision.encoder.run_layers = layers_to_run(config, "vision_feature_layer", -2, vision.encoder.layers);
  const std::string strategy = config.text("vision_feature_select_strategy", "default");
  if (strategy != "default" && strategy != "full") {
    config.fail("vision_feature_select_strategy",
                fmt::format("'{}' is not supported; allowed are default and full", strategy));
  }
  vision.encoder.select = strategy == "full" ? FeatureSelect::all : FeatureSelect::patches;
  vision.prefix = clip_tower_prefix(weights);
  check_tower_layers(config.object("vision_config"), weights, vision);
  vision.resize_backend = resize_backend_of(weights);
  llava::add_projector(config, weights, text_hidden, vision);
  return vision;
}

void set_llava_text(const Config& config, ModelSpec& spec) {
  spec.decoder.logit_softcap = 0.0f;
  spec.decoder.logit_divisor = 1.0f;
  const bool is_gemma = config.object("text_config").text("model_type", "llama").starts_with("gemma");
  // Gemma multiplies what it embeds; the decoder multiplies every input row.
  if (is_gemma) spec.vision->projector.ops.push_back(ScaleOp{1.0f / spec.decoder.embedding_scale});
}

Family llava_family() {
  return {"llava", {"LlavaForConditionalGeneration"}, {"llava"}, llava::parse};
}

}  // namespace mmbatch
