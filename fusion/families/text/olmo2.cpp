// OLMo 2 (arXiv 2501.00656): text only. Norms behind each half of a layer, none before it, and norms of all
// heads' queries and keys together.

#include "fusion/families/families.h"

namespace mmbatch {
namespace olmo2 {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 50304;
  defaults.norm_eps = 1e-5;
  DecoderConfig decoder = parse_decoder(config, defaults);
  set_windows(decoder, config, 0, [](std::size_t) { return false; });
  for (LayerConfig& layer : decoder.layers) {
    layer.placement = NormPlacement::after;
    layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::all_heads};
  }
  return decoder;
}

DecoderNames tensor_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.layers.before_attention = names.layers.before_feed_forward = "";
  names.layers.after_attention = layer + "post_attention_layernorm";
  names.layers.after_feed_forward = layer + "post_feedforward_layernorm";
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("olmo2", config, weights);
  spec.eos = {50279};
  return spec;
}

}  // namespace
}  // namespace olmo2

TextFamily olmo2_decoder() {
  return {.parse = olmo2::parse_text, .names = olmo2::tensor_names};
}

Family olmo2_family() {
  return {"olmo2", {"Olmo2ForCausalLM"}, {"olmo2"}, olmo2::parse};
}

}  // namespace mmbatch
