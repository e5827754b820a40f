// Llama 1, 2, 3 and everything in their layout: text only.

#include "fusion/families/families.h"

namespace mmbatch {

namespace llama {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderConfig decoder = parse_decoder(config, DecoderDefaults{});
  set_windows(decoder, config, 0, [](std::size_t) { return false; });
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("llama", config, weights);
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace llama

TextFamily llama_decoder() {
  return {llama::parse_text};
}

Family llama_family() {
  return {"llama", {"LlamaForCausalLM"}, {"llama"}, llama::parse};
}

}  // namespace mmbatch
