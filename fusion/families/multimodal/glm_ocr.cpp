// GLM-OCR: images of any size in blocks of 2 x 2 patches, with norms of each head's queries and keys in the
// tower; a convolution over each block, then a gated layer; a decoder with norms before and after each half,
// whose positions have three axes and turn neighbouring dimensions.

#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace glm_ocr {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 59392;
  defaults.hidden = 1024;
  defaults.ffn = 4096;
  defaults.layers = 16;
  defaults.heads = 16;
  defaults.kv_heads = 8;
  defaults.norm_eps = 1e-5;
  defaults.max_positions = 131072;
  defaults.rotated = RotatedPart::any;
  defaults.rope_names = {{"mrope", "default"}};
  defaults.rope_axes = RopeAxes{RopeSections::split, {8, 12, 12}};
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (LayerConfig& layer : decoder.layers) {
    layer.placement = NormPlacement::before_and_after;
    layer.attention.bias = layer.attention.output_bias = Bias::absent;
    layer.attention.rope->pairs = RopePairs::neighbours;
  }
  return decoder;
}

DecoderNames tensor_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.layers.after_attention = layer + "post_self_attn_layernorm";
  names.layers.before_feed_forward = layer + "post_attention_layernorm";
  names.layers.after_feed_forward = layer + "post_mlp_layernorm";
  names.layers.feed_forward.gate = names.layers.feed_forward.up = "";
  names.layers.feed_forward.gate_up = layer + "mlp.gate_up_proj";
  return names;
}

VisionConfig parse_tower(const Config& config) {
  const Activation activation = parse_activation(config, "hidden_act", Activation::silu);
  VisionConfig tower = qwen_tower(config, {.layers = 24,
                                           .hidden = qwen_size(config, "hidden_size", 1024),
                                           .ffn = qwen_size(config, "intermediate_size", 4096),
                                           .heads = qwen_size(config, "num_heads", 16),
                                           .kind = FeedForwardKind::gated,
                                           .activation = activation,
                                           .norm = NormKind::rms,
                                           .names = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}});
  tower.input = TowerInput::pictures;
  LayerConfig& layer = tower.layer;
  layer.norm.eps = static_cast<float>(config.number("rms_norm_eps", 1e-5));
  layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
  layer.attention.bias = layer.attention.output_bias = layer.feed_forward.bias =
      config.flag("attention_bias", true) ? Bias::present : Bias::absent;
  tower.layer_names.attention.query_norm = "blocks.{layer}.attn.q_norm";
  tower.layer_names.attention.key_norm = "blocks.{layer}.attn.k_norm";
  tower.patch_bias = Bias::present;
  tower.norm_after = "post_layernorm";
  return tower;
}

ProjectorConfig merger_of(const VisionConfig& tower, const std::string& prefix, std::size_t out) {
  const std::string merger = prefix + "merger.";
  ProjectorConfig config;
  config.in = tower.hidden();
  config.ops = {BlockConvolutionOp{.name = prefix + "downsample", .side = tower.order.merge, .out = out},
                LinearOp{.layer = {merger + "proj", out}, .bias = Bias::absent},
                NormOp{.name = merger + "post_projection_norm", .norm = {NormKind::layer, 1e-5f, 0.0f}},
                ActivationOp{Activation::gelu},
                FeedForwardOp{.names = {merger + "gate_proj", merger + "up_proj", merger + "down_proj"},
                              .config = {.hidden = out,
                                         .ffn = 3 * out,
                                         .kind = FeedForwardKind::gated,
                                         .activation = tower.layer.feed_forward.activation}}};
  return config;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, std::size_t text_hidden) {
  if (qwen_size(config, "out_hidden_size", 1536) != text_hidden)
    config.fail("out_hidden_size", "the tower's output is not as wide as the text model's rows");
  VisionSpec vision;
  vision.prefix = qwen_tower_prefix(weights);
  vision.encoder = parse_tower(config);
  check_tower_layers(config, weights, vision);
  vision.projector = merger_of(vision.encoder, vision.prefix, text_hidden);
  OwnShape images = qwen_images(vision.encoder);
  images.blocks.short_sides = ShortSides::enlarged;
  images.blocks.counted_frames = images.blocks.frames;
  images.blocks.budget = {112 * 112, std::int64_t{28} * 28 * 15000};
  vision.form = images;
  return vision;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = qwen_spec("glm_ocr", "glm_ocr_text", config, weights);
  spec.vision = parse_vision(config.object("vision_config"), weights, spec.decoder.hidden);
  spec.image_token = "<|image|>";
  spec.image_token_id = parse_image_token(config, 59280, spec.decoder.vocab);
  spec.placeholders = {"<|image|>", "<|video|>", "<|begin_of_image|>", "<|end_of_image|>"};
  spec.suppressed = {spec.image_token_id};
  spec.eos = {59246, 59253};
  return spec;
}

}  // namespace
}  // namespace glm_ocr

TextFamily glm_ocr_decoder() {
  return {.parse = glm_ocr::parse_text,
          .names = glm_ocr::tensor_names,
          .keys = {.without_effect = {{"layers that guess tokens ahead are not used",
                                       {"num_nextn_predict_layers"}}},
                   .only_at = {}},
          .guessing_layers = "num_nextn_predict_layers"};
}

Family glm_ocr_family() {
  return {"glm_ocr", {"GlmOcrForConditionalGeneration"}, {"glm_ocr"}, glm_ocr::parse};
}

}  // namespace mmbatch
