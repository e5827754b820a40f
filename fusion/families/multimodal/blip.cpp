// BLIP for visual questions (arXiv 2201.12086): a vision transformer; a text encoder that reads the question
// and attends to the image; a text decoder that writes the answer and attends to the question.

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace blip {
namespace {

VisionConfig parse_tower(const Config& config) {
  VisionDefaults defaults;
  defaults.activation = Activation::gelu;
  defaults.image_size = 384;
  defaults.patch_size = 16;
  VisionConfig tower = parse_vision(config, defaults);
  LayerNames layer;
  layer.attention.query_key_value = "self_attn.qkv";
  layer.attention.output = "self_attn.projection";
  layer.feed_forward = {"", "mlp.fc1", "mlp.fc2"};
  layer.before_attention = "layer_norm1";
  layer.before_feed_forward = "layer_norm2";
  tower.layer_names = layer.below("encoder.layers.{layer}.");
  tower.patch_bias = Bias::present;
  tower.class_token = "embeddings.class_embedding";
  tower.norm_after = "post_layernorm";
  tower.select = FeatureSelect::all;
  return tower;
}

/// A text transformer of BERT's kind (arXiv 1810.04805), whose layers attend to something else too.
TextEncoderConfig parse_text(const Config& config) {
  TextDefaults defaults;
  defaults.heads = 8;
  defaults.activation = Activation::gelu;
  defaults.norm_eps = 1e-12;
  defaults.vocab = 30524;
  defaults.positions = 512;
  TextEncoderConfig text = parse_text_encoder(config, defaults);
  if (text.positions < 2) config.fail("max_position_embeddings", "must be at least 2");
  text.layer.placement = NormPlacement::of_sum;
  const SelfAttentionConfig& attention = text.layer.attention;
  text.layer.cross_attention =
      CrossAttentionConfig{.hidden = attention.hidden, .encoded = attention.hidden, .shape = attention.shape};
  return text;
}

LayerNames layer_names(const std::string& prefix) {
  LayerNames layer;
  layer.attention.query = "attention.self.query";
  layer.attention.key = "attention.self.key";
  layer.attention.value = "attention.self.value";
  layer.attention.output = "attention.output.dense";
  layer.after_attention = "attention.output.LayerNorm";
  layer.cross_attention = {"crossattention.self.query", "crossattention.self.key",
                           "crossattention.self.value", "crossattention.output.dense"};
  layer.after_cross_attention = "crossattention.output.LayerNorm";
  layer.feed_forward = {"", "intermediate.dense", "output.dense"};
  layer.after_feed_forward = "output.LayerNorm";
  return layer.below(prefix + "encoder.layer.{layer}.");
}

/// The keys and values of an image in all of the encoder's layers: made once, however many questions are
/// asked about it.
JoinedLinearOp image_keys(const TextEncoderConfig& text, const LayerNames& names) {
  JoinedLinearOp keys;
  for (std::size_t layer = 0; layer < text.layers; ++layer) {
    const CrossAttentionNames own = names.of(layer).cross_attention;
    keys.layers.push_back({own.key, text.hidden()});
    keys.layers.push_back({own.value, text.hidden()});
  }
  return keys;
}

VisionSpec parse_vision(const Config& config, const WeightSource& weights, const TextEncoderConfig& text) {
  VisionSpec vision;
  vision.prefix = "vision_model.";
  vision.encoder = parse_tower(config);
  if (vision.encoder.hidden() != text.hidden()) {
    config.fail("hidden_size",
                fmt::format("{} is not text_config.hidden_size, {}: questions cannot attend to "
                            "images of another width",
                            vision.encoder.hidden(), text.hidden()));
  }
  check_tower_layers(config, weights, vision);
  vision.projector.in = vision.encoder.hidden();
  vision.projector.ops = {image_keys(text, layer_names("text_encoder."))};
  return vision;
}

PromptEncoderConfig question_encoder(const TextEncoderConfig& text, std::int32_t decoder_start) {
  PromptEncoderConfig encoder;
  encoder.vocab = text.vocab;
  encoder.positions = text.positions;
  encoder.norm = text.layer.norm;
  encoder.stack.layer = text.layer;
  encoder.stack.layers = text.layers;
  encoder.stack.names = layer_names("text_encoder.");
  encoder.stack.names.cross_attention.key.clear();  // the image brings its own
  encoder.stack.names.cross_attention.value.clear();
  encoder.images = EncoderImages::by_cross_attention;
  encoder.embedding = "text_encoder.embeddings.word_embeddings";
  encoder.position_table = "text_encoder.embeddings.position_embeddings";
  encoder.norm_name = "text_encoder.embeddings.LayerNorm";
  encoder.decoder_start = decoder_start;
  return encoder;
}

DecoderConfig answer_decoder(const TextEncoderConfig& text) {
  DecoderConfig decoder;
  decoder.vocab = text.vocab;
  decoder.hidden = text.hidden();
  decoder.layers.assign(text.layers, text.layer);
  decoder.max_positions = text.positions;
  decoder.embedding_norm = text.layer.norm;
  decoder.head_transform = HeadTransform{text.layer.feed_forward.activation, text.layer.norm};
  decoder.encoded_width = text.hidden();
  return decoder;
}

DecoderNames decoder_names(const WeightSource& weights) {
  const std::string embeddings = "text_decoder.bert.embeddings.", head = "text_decoder.cls.predictions.";
  DecoderNames names{.embedding = embeddings + "word_embeddings",
                     .layers = layer_names("text_decoder.bert."),
                     .norm = "",
                     .head = weights.has(head + "decoder.weight") ? head + "decoder" : ""};
  names.positions = embeddings + "position_embeddings";
  names.embedding_norm = embeddings + "LayerNorm";
  names.head_transform = head + "transform.dense";
  names.head_transform_norm = head + "transform.LayerNorm";
  names.head_bias = weights.has(head + "bias") ? head + "bias" : head + "decoder.bias";
  return names;
}

std::int32_t parse_token(const Config& config, const std::string& key, std::int64_t otherwise,
                         std::size_t vocab) {
  if (!config.has(key) && otherwise >= static_cast<std::int64_t>(vocab)) {
    config.fail(key,
                fmt::format("missing; its default {} is outside the vocabulary of {}", otherwise, vocab));
  }
  return static_cast<std::int32_t>(config.integer(key, otherwise, {0, static_cast<std::int64_t>(vocab) - 1}));
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  const Config text_config = config.object("text_config");
  const TextEncoderConfig text = parse_text(text_config);
  ModelSpec spec;
  spec.family = "blip-vqa";
  spec.vision = parse_vision(config.object("vision_config"), weights, text);
  spec.encoder = question_encoder(text, parse_token(text_config, "bos_token_id", 30522, text.vocab));
  spec.decoder = answer_decoder(text);
  spec.decoder_names = decoder_names(weights);
  for (const LayerNames& names : {spec.encoder->stack.names, spec.decoder_names.layers})
    check_layer_count(text_config, weights, names, {text.layers, text.layers});
  spec.image_token.clear();
  spec.placement = ImagePlacement::beside_text;
  spec.tokenless = TokenlessRows::may_come;
  // Answers end with the separator, whatever eos_token_id says.
  spec.eos = {parse_token(text_config, "sep_token_id", 102, text.vocab)};
  spec.ends = EndsOfSequence::of_family;
  spec.turn_format = "plain";
  return spec;
}

}  // namespace
}  // namespace blip

Family blip_family() {
  return {"blip-vqa", {"BlipForQuestionAnswering"}, {"blip"}, blip::parse};
}

}  // namespace mmbatch
