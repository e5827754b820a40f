// Ministral 3: Mistral's block with YaRN, whose queries grow with the logarithm of their position.

#include "fusion/families/families.h"

namespace mmbatch {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 131072;
  defaults.ffn = 14336;
  defaults.layers = 34;
  defaults.kv_heads = 8;
  defaults.head_dim = 128;
  defaults.norm_eps = 1e-5;
  defaults.max_positions = 262144;
  DecoderConfig decoder = parse_decoder(config, defaults);
  const bool windowed = config.has("sliding_window");
  set_windows(decoder, config, windowed ? parse_window(config, 0) : 0, [](std::size_t) { return true; });
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("ministral3", config, weights);
  spec.eos = {2};
  return spec;
}

}  // namespace

TextFamily ministral3_decoder() {
  return {.parse = parse_text, .keys = {.honoured = {"sliding_window"}}};
}

Family ministral3_family() {
  return {"ministral3", {"Ministral3ForCausalLM"}, {"ministral3"}, parse};
}

}  // namespace mmbatch
