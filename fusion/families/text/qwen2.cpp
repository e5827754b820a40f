// Qwen 2 and 2.5 (arXiv 2407.10671, 2412.15115): text only. Llama's block with biases on queries, keys and
// values.

#include "fusion/families/families.h"

namespace mmbatch {
namespace qwen2 {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 151936;
  defaults.ffn = 22016;
  defaults.kv_heads = 32;
  defaults.max_positions = 32768;
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (LayerConfig& layer : decoder.layers) {
    layer.attention.bias = Bias::present;
    layer.attention.output_bias = Bias::absent;
  }
  set_qwen_windows(decoder, config);
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("qwen2", config, weights);
  spec.eos = {151645};
  return spec;
}

}  // namespace
}  // namespace qwen2

void set_qwen_windows(DecoderConfig& decoder, const Config& config) {
  const bool used = config.flag("use_sliding_window", false);
  const std::int64_t full = config.integer("max_window_layers", 28, {0, 4096});
  set_windows(decoder, config, used ? parse_window(config, 4096) : 0,
              [full](std::size_t layer) { return layer >= static_cast<std::size_t>(full); });
}

TextFamily qwen2_decoder() {
  return {.parse = qwen2::parse_text,
          .keys = {.honoured = {"use_sliding_window", "sliding_window", "max_window_layers"}}};
}

Family qwen2_family() {
  return {"qwen2", {"Qwen2ForCausalLM"}, {"qwen2"}, qwen2::parse};
}

}  // namespace mmbatch
