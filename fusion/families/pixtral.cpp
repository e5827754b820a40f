// The vision tower of Pixtral (arXiv 2410.07073): rotary positions, pictures in their own shape, whose rows
// each end with a mark. Pixtral 12B is LLaVA with this tower; Mistral Small 3.1 merges its patches.

#include "fusion/families/families.h"

namespace mmbatch {
namespace pixtral {
namespace {

VisionDefaults tower_defaults() {
  VisionDefaults defaults;
  defaults.hidden = 1024;
  defaults.ffn = 4096;
  defaults.layers = 24;
  defaults.heads = 16;
  defaults.image_size = 1024;
  defaults.patch_size = 16;
  defaults.activation = Activation::gelu;
  return defaults;
}

LayerNames layer_names() {
  LayerNames layer;
  layer.attention.query = "attention.q_proj";
  layer.attention.key = "attention.k_proj";
  layer.attention.value = "attention.v_proj";
  layer.attention.output = "attention.o_proj";
  layer.feed_forward = {"feed_forward.gate_proj", "feed_forward.up_proj", "feed_forward.down_proj"};
  layer.before_attention = "attention_norm";
  layer.before_feed_forward = "ffn_norm";
  return layer.below("transformer.layers.{layer}.");
}

VisionConfig parse_tower(const Config& config) {
  VisionConfig tower = parse_vision(config, tower_defaults());
  LayerConfig& layer = tower.layer;
  layer.norm = {NormKind::rms, 1e-5f, 0.0f};
  layer.attention.bias = layer.attention.output_bias = layer.feed_forward.bias = Bias::absent;
  layer.feed_forward.kind = FeedForwardKind::gated;
  AttentionShape& shape = layer.attention.shape;
  if (config.integer("head_dim", static_cast<std::int64_t>(shape.head_dim)) !=
      static_cast<std::int64_t>(shape.head_dim))
    config.fail("head_dim", "other than hidden_size / num_attention_heads is not supported");
  if (shape.head_dim % 4 != 0) config.fail("num_attention_heads", "heads must be a multiple of 4 wide");
  tower.rope = parse_grid_rope(config, config.number("rope_theta", 10000.0));
  tower.rope->columns = GridRope::Columns::between_rows;
  tower.positions = NoPositions{};
  tower.layer_names = layer_names();
  tower.patch_embedding = "patch_conv";
  tower.norm_before = "ln_pre";
  tower.select = FeatureSelect::all;
  return tower;
}

}  // namespace
}  // namespace pixtral

void add_pixtral_tower(const Config& config, const WeightSource& weights, VisionSpec& vision) {
  const Config vision_config = config.object("vision_config");
  vision.prefix = weights.prefix_of("patch_conv.weight", {"vision_tower.", "model.vision_tower."});
  vision.encoder = pixtral::parse_tower(vision_config);
  vision.encoder.run_layers = layers_to_run(config, "vision_feature_layer", -1, vision.encoder.layers);
  check_tower_layers(vision_config, weights, vision);
}

void set_pixtral_turns(ModelSpec& spec) {
  spec.image_token = "[IMG]";
  spec.place.marks = RowMarks{.after_row = "[IMG_BREAK]", .after_last = "[IMG_END]"};
  spec.placeholders = {"[IMG_BREAK]", "[IMG_END]"};
  spec.padding = PaddingToken::never_generated;
  spec.turn_format = "inst";
  spec.eos = {2};
}

}  // namespace mmbatch
