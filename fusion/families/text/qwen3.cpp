// Qwen 3 (arXiv 2505.09388): text only. Llama's block with norms of each head's queries and keys.

#include "fusion/families/families.h"

namespace mmbatch {
namespace qwen3 {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 151936;
  defaults.ffn = 22016;
  defaults.kv_heads = 32;
  defaults.head_dim = 128;
  defaults.max_positions = 32768;
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (LayerConfig& layer : decoder.layers)
    layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
  set_qwen_windows(decoder, config);
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("qwen3", config, weights);
  spec.eos = {151645};
  return spec;
}

}  // namespace
}  // namespace qwen3

TextFamily qwen3_decoder() {
  return {.parse = qwen3::parse_text,
          .keys = {.honoured = {"use_sliding_window", "sliding_window", "max_window_layers"}}};
}

Family qwen3_family() {
  return {"qwen3", {"Qwen3ForCausalLM"}, {"qwen3"}, qwen3::parse};
}

}  // namespace mmbatch
