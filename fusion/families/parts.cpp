#include "fusion/families/parts.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 20;

std::size_t size(const Config& config, const std::string& key, std::int64_t otherwise,
                 std::int64_t max = kMaxWidth) {
  return static_cast<std::size_t>(config.integer(key, otherwise, {1, max}));
}

/// A side of a square in pixels, written as one number or as two equal ones.
std::size_t side(const Config& config, const std::string& key, std::int64_t otherwise, std::int64_t max) {
  if (!config.has(key) || config.child(key).is_integer()) return size(config, key, otherwise, max);
  const std::vector<std::int64_t> sides = config.integers(key);
  if (sides.size() == 2 && sides[0] == sides[1] && sides[0] >= 1 && sides[0] <= max)
    return static_cast<std::size_t>(sides[0]);
  config.fail(key, fmt::format("expected one side from 1 to {}, or two equal ones", max));
}

/// @throws ModelError when heads do not divide what they have to
void check_heads(const Config& config, const AttentionShape& shape, std::size_t hidden, bool head_dim_given) {
  if (!head_dim_given && hidden % shape.heads != 0) {
    config.fail("num_attention_heads", fmt::format("{} does not divide hidden_size {}", shape.heads, hidden));
  }
  if (shape.heads % shape.kv_heads != 0) {
    config.fail("num_key_value_heads",
                fmt::format("{} does not divide num_attention_heads {}", shape.kv_heads, shape.heads));
  }
  if (shape.heads / shape.kv_heads > AttentionUnit::kMaxQueries) {
    config.fail("num_key_value_heads",
                fmt::format("at most {} query heads a key head are supported", AttentionUnit::kMaxQueries));
  }
  if (shape.head_dim > 512) config.fail("head_dim", "at most 512 is supported");
}

LayerConfig parse_encoder_layer(const Config& config, const EncoderDefaults& defaults) {
  LayerConfig layer;
  SelfAttentionConfig& attention = layer.attention;
  attention.hidden = size(config, "hidden_size", defaults.hidden);
  attention.bias = attention.output_bias = Bias::present;
  AttentionShape& shape = attention.shape;
  shape.heads = shape.kv_heads = size(config, "num_attention_heads", defaults.heads);
  shape.head_dim = std::max<std::size_t>(1, attention.hidden / shape.heads);
  check_heads(config, shape, attention.hidden, false);
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  layer.feed_forward = {.hidden = attention.hidden,
                        .ffn = size(config, "intermediate_size", defaults.ffn),
                        .kind = FeedForwardKind::plain,
                        .activation = parse_activation(config, "hidden_act", defaults.activation),
                        .bias = Bias::present};
  layer.norm = {NormKind::layer, static_cast<float>(config.number("layer_norm_eps", defaults.norm_eps)),
                0.0f};
  return layer;
}

/// Positions that a scaling stretches those to that a model was trained on; 0 where max_position_embeddings
/// says it.
std::size_t reach(const RopeConfig& rope) {
  if (rope.scaling != RopeScaling::dynamic_ntk && rope.scaling != RopeScaling::yarn) return 0;
  constexpr double kMost = std::int64_t{1} << 32;
  return static_cast<std::size_t>(
      std::min(kMost, rope.factor * static_cast<double>(rope.original_positions)));
}

}  // namespace

Activation parse_activation(const Config& config, const std::string& key, Activation otherwise) {
  static const std::map<std::string, Activation> known = {
      {"gelu", Activation::gelu},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"quick_gelu", Activation::quick_gelu},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
  };
  if (!config.has(key)) return otherwise;
  const std::string name = config.text(key, "");
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::string names;
  for (const auto& entry : known) names += (names.empty() ? "" : ", ") + entry.first;
  config.fail(key, fmt::format("activation '{}' is not supported; supported are {}", name, names));
}

DecoderConfig parse_decoder(const Config& config, const DecoderDefaults& defaults) {
  DecoderConfig decoder;
  decoder.vocab = size(config, "vocab_size", defaults.vocab, 1 << 24);
  decoder.hidden = size(config, "hidden_size", defaults.hidden);
  decoder.max_positions =
      size(config, "max_position_embeddings", defaults.max_positions, std::int64_t{1} << 32);
  if (decoder.max_positions < 2) config.fail("max_position_embeddings", "must be at least 2");

  LayerConfig layer;
  SelfAttentionConfig& attention = layer.attention;
  AttentionShape& shape = attention.shape;
  attention.hidden = decoder.hidden;
  shape.heads = size(config, "num_attention_heads", defaults.heads);
  const std::int64_t all_heads = static_cast<std::int64_t>(shape.heads);
  const bool as_many = defaults.kv_heads == 0 || config.is_null("num_key_value_heads");
  shape.kv_heads = size(config, "num_key_value_heads", as_many ? all_heads : defaults.kv_heads);
  const bool head_dim_given = config.has("head_dim") || defaults.head_dim > 0;
  const auto divided = static_cast<std::int64_t>(std::max<std::size_t>(1, decoder.hidden / shape.heads));
  shape.head_dim = size(config, "head_dim", defaults.head_dim > 0 ? defaults.head_dim : divided);
  check_heads(config, shape, decoder.hidden, head_dim_given);
  if (shape.head_dim % 2 != 0) config.fail("head_dim", "must be even for a rotary embedding");
  shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  attention.bias = config.flag("attention_bias", false) ? Bias::present : Bias::absent;
  attention.output_bias = attention.bias;

  FeedForwardConfig& feed_forward = layer.feed_forward;
  feed_forward.hidden = decoder.hidden;
  feed_forward.ffn = size(config, "intermediate_size", defaults.ffn);
  feed_forward.kind = FeedForwardKind::gated;
  feed_forward.bias = config.flag("mlp_bias", false) ? Bias::present : Bias::absent;
  feed_forward.activation = parse_activation(config, defaults.activation_key, defaults.activation);

  layer.norm = {NormKind::rms, static_cast<float>(config.number("rms_norm_eps", defaults.norm_eps)), 0.0f};
  attention.rope = parse_rope(config, defaults.rope(shape.head_dim));
  decoder.max_positions = std::max(decoder.max_positions, reach(*attention.rope));
  decoder.norm = layer.norm;
  decoder.layers.assign(size(config, "num_hidden_layers", defaults.layers, 4096), layer);
  return decoder;
}

DecoderNames llama_names(const std::string& prefix) {
  const LayerNames layer{.attention = {.query = "self_attn.q_proj",
                                       .key = "self_attn.k_proj",
                                       .value = "self_attn.v_proj",
                                       .output = "self_attn.o_proj",
                                       .query_norm = "self_attn.q_norm",
                                       .key_norm = "self_attn.k_norm"},
                         .feed_forward = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"},
                         .before_attention = "input_layernorm",
                         .after_attention = "",
                         .before_feed_forward = "post_attention_layernorm",
                         .after_feed_forward = ""};
  return {
      .embedding = prefix + "embed_tokens",
      .layers = layer.below(prefix + "layers.{layer}."),
      .norm = prefix + "norm",
      .head = "",
  };
}

LayerNames clip_layer_names() {
  const LayerNames layer{
      .attention = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"},
      .feed_forward = {"", "mlp.fc1", "mlp.fc2"},
      .before_attention = "layer_norm1",
      .after_attention = "",
      .before_feed_forward = "layer_norm2",
      .after_feed_forward = ""};
  return layer.below("encoder.layers.{layer}.");
}

std::size_t parse_window(const Config& config, std::int64_t otherwise) {
  if (config.is_null("sliding_window")) return 0;
  return size(config, "sliding_window", otherwise, std::int64_t{1} << 32);
}

void set_windows(DecoderConfig& decoder, const Config& config, std::size_t window,
                 const std::function<bool(std::size_t layer)>& windowed) {
  const std::vector<std::string> types = config.texts("layer_types");
  if (config.has("layer_types") && types.size() != decoder.layers.size())
    config.fail("layer_types",
                fmt::format("names {} layers, num_hidden_layers is {}", types.size(), decoder.layers.size()));
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    bool narrow = windowed(i) && window > 0;
    if (!types.empty()) {
      narrow = types[i] == "sliding_attention";
      if (!narrow && types[i] != "full_attention") {
        config.fail("layer_types", fmt::format("'{}' is not supported; supported are full_attention and "
                                               "sliding_attention",
                                               types[i].substr(0, 80)));
      }
      if (narrow && window == 0)
        config.fail("layer_types", "sliding_attention, but there is no sliding_window");
    }
    decoder.layers[i].attention.shape.window = narrow ? window : 0;
  }
}

namespace {

/// A tensor that nearly every layer has: those that read another layer's keys and values have the norm only.
std::string probe_of(const LayerNames& names) {
  if (!std::holds_alternative<std::monostate>(names.recurrent)) return names.before_attention + ".weight";
  const SelfAttentionNames& attention = names.attention;
  return (attention.query_key_value.empty() ? attention.value : attention.query_key_value) + ".weight";
}

/// The one of the two that is stored; empty: neither.
std::string stored_probe(const WeightSource& weights, const LayerNames& names) {
  for (const std::string& name : {probe_of(names), names.before_attention + ".weight"}) {
    if (weights.has(name)) return name;
  }
  return "";
}

}  // namespace

void check_layer_count(const Config& config, const WeightSource& weights, const LayerNames& names,
                       LayerCount count) {
  const auto probe = [&](std::size_t layer) { return probe_of(names.of(layer)); };
  std::size_t stored = 0;
  while (stored <= count.layers && !stored_probe(weights, names.of(stored)).empty()) ++stored;
  if (stored > count.layers) {
    config.fail("num_hidden_layers",
                fmt::format("{} layers, but more are stored: tensor '{}' would not be used", count.layers,
                            stored_probe(weights, names.of(count.layers))));
  }
  if (stored == 0 || stored >= count.needed) return;  // without any, loading says what is missing
  config.fail("num_hidden_layers", fmt::format("{} layers, of which {} are stored: tensor '{}' is missing",
                                               count.layers, stored, probe(stored)));
}

float parse_softcap(const Config& config, const std::string& key, double otherwise) {
  if (config.is_null(key)) return 0.0f;
  const double cap = config.number(key, otherwise);
  if (cap <= 0) config.fail(key, "must be above 0, or null for none");
  return static_cast<float>(cap);
}

VisionConfig parse_vision(const Config& config, const VisionDefaults& defaults) {
  VisionConfig vision;
  vision.image_size = side(config, "image_size", defaults.image_size, 8192);
  vision.patch_size = side(config, "patch_size", defaults.patch_size, 1024);
  if (vision.patch_size > vision.image_size) config.fail("patch_size", "must be at most image_size");
  if (config.integer("num_channels", 3) != 3) config.fail("num_channels", "only 3 is supported");
  vision.layers = vision.run_layers = size(config, "num_hidden_layers", defaults.layers, 4096);
  vision.layer = parse_encoder_layer(config, defaults);
  vision.layer_names = clip_layer_names();
  return vision;
}

TextEncoderConfig parse_text_encoder(const Config& config, const TextDefaults& defaults) {
  TextEncoderConfig text;
  text.vocab = size(config, "vocab_size", defaults.vocab, 1 << 24);
  text.positions = size(config, "max_position_embeddings", defaults.positions, 1 << 16);
  text.layers = size(config, "num_hidden_layers", defaults.layers, 4096);
  text.layer = parse_encoder_layer(config, defaults);
  text.layer_names = clip_layer_names();
  text.width = size(config, "projection_size", static_cast<std::int64_t>(text.hidden()));
  return text;
}

std::size_t layers_to_run(const Config& config, const std::string& key, std::int64_t otherwise,
                          std::size_t layers) {
  const auto count = static_cast<std::int64_t>(layers);
  if (config.has(key) && !config.child(key).is_integer()) {
    config.fail(key, "a list of layers is not supported; give one layer");
  }
  const std::int64_t layer = config.integer(key, otherwise, {-count - 1, count});
  return static_cast<std::size_t>(layer < 0 ? count + 1 + layer : layer);
}

std::size_t parse_shuffle_factor(const Config& config, const std::string& key, std::int64_t otherwise,
                                 const PatchGrid& grid) {
  const std::size_t factor = size(config, key, otherwise, 64);
  if (grid.rows % factor != 0 || grid.columns % factor != 0)
    config.fail(key, fmt::format("{} does not divide the {} x {} patches of an image", factor, grid.columns,
                                 grid.rows));
  return factor;
}

}  // namespace mmbatch
