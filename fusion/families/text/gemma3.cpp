// Gemma 3 (arXiv 2503.19786): the text model. As Gemma 2 without soft-caps, with norms of each head's queries
// and keys; five layers of six see a window, and rotate at another base than those that see everything.

#include <cmath>

#include "fusion/families/families.h"

namespace mmbatch {
namespace gemma3 {
namespace {

DecoderDefaults class_defaults() {
  DecoderDefaults defaults;
  defaults.vocab = 262208;
  defaults.hidden = 2304;
  defaults.ffn = 9216;
  defaults.layers = 26;
  defaults.heads = 8;
  defaults.kv_heads = 4;
  defaults.head_dim = 256;
  defaults.rope_theta = 1e6;
  defaults.rope_layers = "full_attention";
  defaults.max_positions = 131072;
  defaults.activation_key = "hidden_activation";
  defaults.activation = Activation::gelu_tanh;
  return defaults;
}

/// The rotation of the layers with a window: never scaled where it is written the older way.
RopeConfig parse_local_rope(const Config& config, std::size_t head_dim) {
  RopeConfig rope{.theta = config.number("rope_local_base_freq", 10000.0)};
  if (rope.theta <= 1) config.fail("rope_local_base_freq", "must be above 1");
  if (!config.object("rope_parameters").has("sliding_attention")) return rope;
  RopeDefaults defaults = class_defaults().rope(head_dim);
  defaults.theta = rope.theta;
  defaults.layers = "sliding_attention";
  return parse_rope(config, defaults);
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderConfig decoder = parse_decoder(config, class_defaults());
  decoder.norm.offset = 1.0f;
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden));
  if (config.has("final_logit_softcapping"))
    decoder.logit_softcap = parse_softcap(config, "final_logit_softcapping", 0);
  const double query_scalar = config.number("query_pre_attn_scalar", 256);
  if (query_scalar <= 0) config.fail("query_pre_attn_scalar", "must be above 0");
  const std::string key = config.first_of({"sliding_window_pattern", "_sliding_window_pattern"});
  const auto pattern = static_cast<std::size_t>(key.empty() ? 6 : config.integer(key, 6, {1, 4096}));
  set_windows(decoder, config, parse_window(config, 4096),
              [pattern](std::size_t layer) { return (layer + 1) % pattern != 0; });
  const RopeConfig local = parse_local_rope(config, decoder.layers.front().attention.shape.head_dim);
  for (LayerConfig& layer : decoder.layers) {
    layer.norm.offset = 1.0f;
    layer.placement = NormPlacement::before_and_after;
    layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
    layer.attention.shape.scale = static_cast<float>(1.0 / std::sqrt(query_scalar));
    if (layer.attention.shape.window > 0) layer.attention.rope = local;
  }
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("gemma3_text", config, weights);
  spec.eos = {1};
  spec.suppressed = {static_cast<std::int32_t>(config.integer("pad_token_id", 0, {0, 1 << 24}))};
  spec.rowless_tokens = {"<image_soft_token>"};
  return spec;
}

}  // namespace
}  // namespace gemma3

TextFamily gemma3_decoder() {
  return {.parse = gemma3::parse_text,
          .names = gemma2_names,
          .head = DefaultHead::embedding,
          .keys = {.honoured = {"hidden_activation", "sliding_window", "sliding_window_pattern",
                                "_sliding_window_pattern", "final_logit_softcapping", "query_pre_attn_scalar",
                                "rope_local_base_freq"},
                   .without_effect = {
                       {"transformers does not apply it to this model either", {"attn_logit_softcapping"}}}}};
}

Family gemma3_text_family() {
  return {"gemma3_text", {"Gemma3ForCausalLM"}, {"gemma3_text"}, gemma3::parse};
}

}  // namespace mmbatch
