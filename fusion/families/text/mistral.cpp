// Mistral 7B (arXiv 2310.06825) and everything in its layout: text only. Llama's block with a sliding window.

#include "fusion/families/families.h"

namespace mmbatch {

namespace mistral {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.ffn = 14336;
  defaults.kv_heads = 8;
  defaults.max_positions = 131072;
  DecoderConfig decoder = parse_decoder(config, defaults);
  set_windows(decoder, config, parse_window(config, 4096), [](std::size_t) { return true; });
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("mistral", config, weights);
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace mistral

TextFamily mistral_decoder() {
  return {.parse = mistral::parse_text, .keys = {.honoured = {"sliding_window"}}};
}

Family mistral_family() {
  return {"mistral", {"MistralForCausalLM"}, {"mistral"}, mistral::parse};
}

}  // namespace mmbatch
