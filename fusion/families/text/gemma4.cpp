// Gemma 4: the text models. As Gemma 3, but that norms multiply by their weights as they are, values are
// normalised too and scores are not scaled; layers that see everything have wider heads, of which a quarter
// of the pairs turn, and may take their keys as values. Small models have embeddings for each layer, and
// their last layers read the keys and values of earlier ones; a large one has experts beside each
// feed-forward.

#include <cmath>

#include <fmt/format.h>

#include "fusion/families/experts.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace gemma4 {
namespace {

constexpr Config::Range kSizes{1, 1 << 20};
constexpr const char* kFull = "full_attention";

/// What the two classes of text models differ in.
struct ClassDefaults {
  std::int64_t max_positions = 131072;
  std::int64_t window = 512;
  std::string bidirectional = {};  // what use_bidirectional_attention is where it is absent
  std::int64_t per_layer_width = 256;
};

DecoderDefaults decoder_defaults(const ClassDefaults& own) {
  DecoderDefaults defaults;
  defaults.vocab = 262144;
  defaults.hidden = 2304;
  defaults.ffn = 9216;
  defaults.layers = 30;
  defaults.heads = 8;
  defaults.kv_heads = 4;
  defaults.head_dim = 256;
  defaults.rope_theta = 10000.0;
  defaults.rope_layers = "sliding_attention";
  defaults.max_positions = own.max_positions;
  defaults.activation_key = "hidden_activation";
  defaults.activation = Activation::gelu_tanh;
  return defaults;
}

/// Gives a layer other heads than num_key_value_heads and head_dim say.
void set_heads(const Config& config, const std::string& head_dim_key, std::int64_t head_dim,
               std::int64_t kv_heads, AttentionShape& shape) {
  const auto dims = static_cast<std::size_t>(head_dim), kv = static_cast<std::size_t>(kv_heads);
  if (dims % 2 != 0 || dims > 512) config.fail(head_dim_key, "must be even and at most 512");
  if (kv == 0 || shape.heads % kv != 0 || shape.heads / kv > AttentionUnit::kMaxQueries)
    config.fail(head_dim_key, fmt::format("{} heads for keys and values do not go with {} heads for queries; "
                                          "they must divide them, into {} at most",
                                          kv, shape.heads, AttentionUnit::kMaxQueries));
  shape.head_dim = dims;
  shape.kv_heads = kv;
}

/// As transformers 5 saves it: what differs in single layers.
void read_per_layer_config(const Config& config, DecoderConfig& decoder) {
  const Config layers = config.object("per_layer_config");
  for (const auto& [key, own] : layers.members()) {
    std::size_t layer = 0;
    while (layer < decoder.layers.size() && std::to_string(layer) != key) ++layer;
    if (layer == decoder.layers.size())
      layers.fail(key.substr(0, 80), fmt::format("is not one of the {} layers", decoder.layers.size()));
    for (const auto& [name, value] : own.members()) {
      if (name != "head_dim" && name != "num_key_value_heads")
        own.fail(name.substr(0, 80), "not supported; supported are head_dim and num_key_value_heads");
    }
    AttentionShape& shape = decoder.layers[layer].attention.shape;
    set_heads(own, "head_dim", own.integer("head_dim", static_cast<std::int64_t>(shape.head_dim), kSizes),
              own.integer("num_key_value_heads", static_cast<std::int64_t>(shape.kv_heads), kSizes), shape);
  }
}

/// As it is published: the same for all layers that see everything.
void read_global_heads(const Config& config, bool keys_as_values, DecoderConfig& decoder) {
  const std::string heads = "num_global_key_value_heads";
  const std::int64_t head_dim = config.integer("global_head_dim", 512, kSizes);
  for (LayerConfig& layer : decoder.layers) {
    AttentionShape& shape = layer.attention.shape;
    if (shape.window > 0) continue;
    const auto kv_heads = static_cast<std::int64_t>(shape.kv_heads);
    set_heads(config, config.has(heads) ? heads : "global_head_dim", head_dim,
              keys_as_values ? config.integer(heads, kv_heads, kSizes) : kv_heads, shape);
  }
}

/// The rotation of layers that see everything.
RopeConfig full_rope(const Config& config, RopeDefaults defaults, std::size_t head_dim) {
  defaults.head_dim = head_dim;
  defaults.layers = kFull;
  if (config.has("rope_parameters")) return parse_rope(config, defaults);
  return {.theta = 1e6, .scaling = RopeScaling::proportional, .turning_pairs = head_dim / 8};
}

/// Lets the last layers read the keys and values of the last layer before them that sees as much.
void share_keys(const Config& config, DecoderConfig& decoder) {
  const std::string key = "num_kv_shared_layers";
  const auto layers = static_cast<std::int64_t>(decoder.layers.size());
  const auto shared = static_cast<std::size_t>(config.integer(key, 0, {0, layers - 1}));
  const std::size_t first = decoder.layers.size() - shared;
  const bool wide = config.flag("use_double_wide_mlp", false);
  for (std::size_t i = first; i < decoder.layers.size(); ++i) {
    LayerConfig& layer = decoder.layers[i];
    std::size_t source = first;
    while (source > 0 &&
           (decoder.layers[source - 1].attention.shape.window > 0) != (layer.attention.shape.window > 0))
      --source;
    if (source == 0)
      config.fail(
          key, fmt::format("layer {} has no layer of its kind before the last {} to read from", i, shared));
    const AttentionShape& read = decoder.layers[source - 1].attention.shape;
    if (read.head_dim != layer.attention.shape.head_dim || read.kv_heads != layer.attention.shape.kv_heads)
      config.fail(key,
                  fmt::format("layer {} has other heads than layer {}, whose keys it reads", i, source - 1));
    layer.attention.keys_of = source - 1;
    if (wide) layer.feed_forward.ffn *= 2;
  }
}

/// What tokens of an image see of each other.
void set_range_views(const Config& config, const ClassDefaults& defaults, RangeView full, RangeView sliding,
                     DecoderConfig& decoder) {
  const std::string key = "use_bidirectional_attention";
  const bool none = config.is_null(key);
  const std::string text = none ? "" : config.text(key, defaults.bidirectional);
  if (!text.empty() && text != "vision")
    config.fail(key, fmt::format("'{}' is not supported; supported are null and vision", text.substr(0, 80)));
  for (LayerConfig& layer : decoder.layers) {
    AttentionShape& shape = layer.attention.shape;
    shape.ranges = text.empty() ? RangeView::ignored : shape.window > 0 ? sliding : full;
  }
}

void add_experts(const Config& config, LayerConfig& layer) {
  for (const char* key : {"num_experts", "top_k_experts", "moe_intermediate_size"}) {
    if (!config.has(key)) config.fail(key, "missing, and enable_moe_block is true");
  }
  layer.experts = parse_experts(config, layer, {.top_k_key = "top_k_experts"});
  layer.experts->router.sum = RouterSum::one;
  layer.experts->router.norm = layer.norm;
  layer.experts_place = ExpertsPlace::beside;
}

void add_per_layer_embeddings(const Config& config, const ClassDefaults& defaults, DecoderConfig& decoder) {
  const std::string key = "hidden_size_per_layer_input", vocab_key = "vocab_size_per_layer_input";
  const std::int64_t width =
      config.is_null(key) ? 0 : config.integer(key, defaults.per_layer_width, {0, kSizes.max});
  if (width == 0) return;
  const auto vocab = static_cast<std::size_t>(config.integer(vocab_key, 262144, {1, 1 << 24}));
  if (vocab < decoder.vocab)
    config.fail(vocab_key, fmt::format("{} is below vocab_size, {}: tokens would have no embedding", vocab,
                                       decoder.vocab));
  decoder.per_layer =
      PerLayerEmbeddingConfig{.width = static_cast<std::size_t>(width),
                              .vocab = vocab,
                              .image_id = static_cast<std::int32_t>(config.integer(
                                  "pad_token_id", 0, {0, static_cast<std::int64_t>(vocab) - 1})),
                              .norm = decoder.norm};
  for (LayerConfig& layer : decoder.layers) {
    layer.per_layer_input = PerLayerInputConfig{.hidden = decoder.hidden,
                                                .width = decoder.per_layer->width,
                                                .activation = layer.feed_forward.activation,
                                                .norm = layer.norm};
  }
}

DecoderConfig parse_with(const Config& config, const ClassDefaults& defaults) {
  const DecoderDefaults class_defaults = decoder_defaults(defaults);
  DecoderConfig decoder = parse_decoder(config, class_defaults);
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden));
  if (config.has("final_logit_softcapping"))
    decoder.logit_softcap = parse_softcap(config, "final_logit_softcapping", 0);
  set_windows(decoder, config, parse_window(config, defaults.window),
              [](std::size_t layer) { return (layer + 1) % 6 != 0; });
  decoder.layers.back().attention.shape.window = 0;  // whatever layer_types says, as in transformers
  const bool keys_as_values = config.flag("attention_k_eq_v", false);
  if (config.has("per_layer_config"))
    read_per_layer_config(config, decoder);
  else
    read_global_heads(config, keys_as_values, decoder);
  for (LayerConfig& layer : decoder.layers) {
    SelfAttentionConfig& attention = layer.attention;
    layer.placement = NormPlacement::before_and_after;
    attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
    attention.value_norm = layer.norm;
    attention.value_norm->weight = NormWeight::none;
    attention.shape.scale = 1.0f;
    if (attention.shape.window > 0) continue;
    attention.rope = full_rope(config, class_defaults.rope(0), attention.shape.head_dim);
    if (keys_as_values) attention.values = ValueSource::keys;
  }
  return decoder;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  const ClassDefaults defaults;
  DecoderConfig decoder = parse_with(config, defaults);
  set_range_views(config, defaults, RangeView::ignored, RangeView::in_window, decoder);
  share_keys(config, decoder);
  if (config.flag("enable_moe_block", false)) {
    for (LayerConfig& layer : decoder.layers) add_experts(config, layer);
  }
  add_per_layer_embeddings(config, defaults, decoder);
  return decoder;
}

DecoderConfig parse_unified(const Config& config, const StoredDecoder&) {
  const ClassDefaults defaults{
      .max_positions = 262144, .window = 1024, .bidirectional = "vision", .per_layer_width = 0};
  DecoderConfig decoder = parse_with(config, defaults);
  set_range_views(config, defaults, RangeView::whole, RangeView::whole, decoder);
  share_keys(config, decoder);
  return decoder;
}

DecoderNames unified_names(const std::string& prefix) {
  DecoderNames names = gemma2_names(prefix);
  names.layers.output_scale = prefix + "layers.{layer}.layer_scalar";
  return names;
}

DecoderNames names(const std::string& prefix) {
  DecoderNames names = unified_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.layers.per_layer_input = {layer + "per_layer_input_gate", layer + "per_layer_projection",
                                  layer + "post_per_layer_input_norm"};
  names.layers.experts.router = {.projection = layer + "router.proj",
                                 .correction = "",
                                 .per_expert_scale = layer + "router.per_expert_scale",
                                 .norm_scale = layer + "router.scale"};
  names.layers.experts.experts = {.gate = layer + "experts.{expert}.gate_proj",
                                  .up = layer + "experts.{expert}.up_proj",
                                  .down = layer + "experts.{expert}.down_proj",
                                  .all_gate_up = layer + "experts.gate_up_proj",
                                  .all_down = layer + "experts.down_proj",
                                  .all_gate_up_bias = "",
                                  .all_down_bias = ""};
  names.layers.experts_beside = {layer + "post_feedforward_layernorm_1",
                                 layer + "pre_feedforward_layernorm_2",
                                 layer + "post_feedforward_layernorm_2"};
  names.per_layer = {prefix + "embed_tokens_per_layer", prefix + "per_layer_model_projection",
                     prefix + "per_layer_projection_norm"};
  return names;
}

KnownKeys known_keys() {
  return {.honoured = {"hidden_activation", "sliding_window", "final_logit_softcapping", "global_head_dim",
                       "num_global_key_value_heads", "per_layer_config", "attention_k_eq_v",
                       "num_kv_shared_layers", "use_double_wide_mlp", "use_bidirectional_attention",
                       "hidden_size_per_layer_input", "vocab_size_per_layer_input", "enable_moe_block",
                       "num_experts", "top_k_experts", "moe_intermediate_size"}};
}

ModelSpec parse_text_only(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only(config.text("model_type", "gemma4_text"), config, weights);
  spec.eos = {1, 106};
  spec.rowless_tokens = {"<|video|>"};
  return spec;
}

}  // namespace
}  // namespace gemma4

TextFamily gemma4_decoder() {
  return {.parse = gemma4::parse_text,
          .names = gemma4::names,
          .head = DefaultHead::embedding,
          .keys = gemma4::known_keys()};
}

TextFamily gemma4_unified_decoder() {
  return {.parse = gemma4::parse_unified,
          .names = gemma4::unified_names,
          .head = DefaultHead::embedding,
          .keys = gemma4::known_keys()};
}

Family gemma4_text_family() {
  return {"gemma4_text",
          {"Gemma4ForCausalLM", "Gemma4UnifiedForCausalLM"},
          {"gemma4_text", "gemma4_unified_text"},
          gemma4::parse_text_only};
}

}  // namespace mmbatch
