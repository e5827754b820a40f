// Mistral Small 3.1 and later, and Ministral 3: a vision transformer with rotary positions that takes
// pictures in their own shape (Pixtral, arXiv 2410.07073), squares of two by two patches merged, two linear
// layers, Mistral. Each row of an image ends with a mark.

#include "fusion/families/families.h"
#include "fusion/image_preparation.h"

namespace mmbatch {
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

VisionSpec parse_vision(const Config& config, const WeightSource& weights, const DecoderConfig& text) {
  const Config vision_config = config.object("vision_config");
  VisionSpec vision;
  vision.prefix = weights.prefix_of("patch_conv.weight", {"vision_tower.", "model.vision_tower."});
  vision.encoder = parse_tower(vision_config);
  vision.encoder.run_layers = layers_to_run(config, "vision_feature_layer", -1, vision.encoder.layers);
  check_tower_layers(vision_config, weights, vision);
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
  spec.image_token = "[IMG]";
  spec.place.marks = RowMarks{.after_row = "[IMG_BREAK]", .after_last = "[IMG_END]"};
  spec.placeholders = {"[IMG_BREAK]", "[IMG_END]"};
  spec.padding = PaddingToken::never_generated;
  spec.turn_format = "inst";
  spec.eos = {2};
  return spec;
}

}  // namespace

Family mistral3_family() {
  return {"mistral3", {"Mistral3ForConditionalGeneration"}, {"mistral3"}, parse};
}

}  // namespace mmbatch
