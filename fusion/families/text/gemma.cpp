// Gemma (arXiv 2403.08295): text only. Norms multiply by 1 + weight, inputs are scaled by sqrt(hidden), the
// embedding is the head.

#include <cmath>

#include "fusion/families/families.h"

namespace mmbatch {

namespace gemma {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 256000;
  defaults.hidden = 3072;
  defaults.ffn = 24576;
  defaults.layers = 28;
  defaults.heads = 16;
  defaults.kv_heads = 16;
  defaults.head_dim = 256;
  defaults.max_positions = 8192;
  defaults.activation_key = "hidden_activation";  // `hidden_act` of the first files names the wrong one
  defaults.activation = Activation::gelu_tanh;
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (LayerConfig& layer : decoder.layers) layer.norm.offset = 1.0f;
  decoder.norm.offset = 1.0f;
  set_windows(decoder, config, 0, [](std::size_t) { return false; });
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden));
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("gemma", config, weights);
  spec.eos = {1};
  return spec;
}

}  // namespace
}  // namespace gemma

TextFamily gemma_decoder() {
  return {.parse = gemma::parse_text,
          .head = DefaultHead::embedding,
          .keys = {.honoured = {"hidden_activation"}}};
}

Family gemma_family() {
  return {"gemma", {"GemmaForCausalLM"}, {"gemma"}, gemma::parse};
}

}  // namespace mmbatch
