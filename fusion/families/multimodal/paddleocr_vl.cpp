// PaddleOCR-VL (arXiv 2510.14528): a SigLIP tower for images of any size, whose learned positions are laid
// over each and whose queries and keys are turned by row and column; squares of two by two patches merged,
// two linear layers, Ernie 4.5 with positions of three axes.

#include "fusion/families/families.h"

namespace mmbatch {
namespace paddleocr_vl {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 103424;
  defaults.hidden = 1024;
  defaults.ffn = 3072;
  defaults.layers = 18;
  defaults.heads = 16;
  defaults.kv_heads = 2;
  defaults.head_dim = 128;
  defaults.norm_eps = 1e-5;
  defaults.rope_theta = 500000.0;
  defaults.max_positions = 131072;
  defaults.rope_names = {{"mrope", "default"}};
  defaults.rope_axes = RopeAxes{RopeSections::split, {16, 24, 24}};
  DecoderConfig decoder = parse_decoder(config, defaults);
  const Bias bias = config.flag("use_bias", false) ? Bias::present : Bias::absent;
  for (LayerConfig& layer : decoder.layers)
    layer.attention.bias = layer.attention.output_bias = layer.feed_forward.bias = bias;
  return decoder;
}

VisionConfig parse_tower(const Config& config) {
  VisionDefaults defaults;
  defaults.hidden = 1152;
  defaults.ffn = 4304;
  defaults.layers = 27;
  defaults.heads = 16;
  defaults.image_size = 384;
  defaults.patch_size = 14;
  defaults.activation = Activation::gelu_tanh;
  defaults.norm_eps = 1e-6;
  VisionConfig tower = parse_vision(config, defaults);
  if (tower.layer.attention.shape.head_dim % 4 != 0)
    config.fail("num_attention_heads", "heads must be a multiple of 4 wide");
  tower.patch_bias = Bias::present;
  tower.positions =
      InterpolatedPositions{"embeddings.position_embedding", tower.grid().rows, PositionSampling::centres};
  tower.rope = parse_grid_rope(config);
  tower.norm_after = "post_layernorm";
  tower.select = FeatureSelect::all;
  return tower;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  const Config vision_config = config.object("vision_config");
  VisionSpec vision;
  vision.prefix = weights.prefix_of("embeddings.patch_embedding.weight",
                                    {"visual.vision_model.", "model.visual.vision_model."});
  vision.encoder = parse_tower(vision_config);
  check_tower_layers(vision_config, weights, vision);
  const std::int64_t merge = vision_config.integer("spatial_merge_size", 2, {1, 16});
  vision.form = OwnShape{{.patch_size = static_cast<int>(vision.encoder.patch_size),
                          .merge = static_cast<int>(merge),
                          .frames = 1,
                          .frames_unless_said = 1,
                          .rows = PatchRows::by_row,
                          .short_sides = ShortSides::enlarged_nearest,
                          .budget = {384 * 384, 1536 * 1536}}};
  const std::string projector =
      weights.prefix_of("linear_1.weight", {"mlp_AR.", "model.projector.", "model.mlp_AR."});
  const auto side = static_cast<std::size_t>(merge);
  vision.projector.in = vision.encoder.hidden();
  vision.projector.ops = {NormOp{.name = projector + "pre_norm", .norm = {NormKind::layer, 1e-5f, 0.0f}},
                          PixelShuffleOp{.side = side},
                          LinearOp{.layer = {projector + "linear_1", vision.encoder.hidden() * side * side},
                                   .activation = Activation::gelu},
                          LinearOp{.layer = {projector + "linear_2", text_hidden}}};
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  // The text model's keys stand beside vision_config in published files, in text_config where transformers 5
  // wrote them.
  const Config text_config = config.has("text_config") ? config.object("text_config") : config;
  TextModel text = read_text_model("paddleocr_vl_text",
                                   {text_config, config, weights, {"model.language_model.", "model."}});
  ModelSpec spec;
  spec.family = "paddleocr_vl";
  spec.decoder = std::move(text.decoder);
  spec.decoder_names = std::move(text.names);
  spec.vision = parse_vision(config, weights, spec.decoder.hidden);
  spec.image_token = "<|IMAGE_PLACEHOLDER|>";
  spec.image_token_id = parse_image_token(config, 100295, spec.decoder.vocab);
  spec.placeholders = {"<|IMAGE_START|>", "<|IMAGE_END|>"};
  spec.suppressed = {spec.image_token_id};
  spec.positions = PromptPositions::image_grids;
  spec.turn_format = "plain";
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace paddleocr_vl

TextFamily paddleocr_vl_decoder() {
  return {.parse = paddleocr_vl::parse_text,
          .head = DefaultHead::if_stored,
          .keys = {.honoured = {"use_bias"},
                   .without_effect = {{"training only, or of attention that is computed otherwise",
                                       {"attention_probs_dropout_prob", "hidden_dropout_prob",
                                        "compression_ratio", "ignored_index", "max_sequence_length",
                                        "use_flash_attention", "weight_share_add_bias"}}},
                   .only_at = {
                       {"sliding_window", {}}, {"rope_is_neox_style", {"true"}}, {"use_3d_rope", {"true"}}}}};
}

Family paddleocr_vl_family() {
  return {"paddleocr_vl", {"PaddleOCRVLForConditionalGeneration"}, {"paddleocr_vl"}, paddleocr_vl::parse};
}

}  // namespace mmbatch
