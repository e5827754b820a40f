// Granite 3 (dense): text only. Llama's block with four multipliers: of embeddings, of attention scores, of
// what each half of a layer adds, and a divisor of the logits (arXiv 2408.13359).

#include "fusion/families/families.h"

namespace mmbatch {
namespace granite {
namespace {

float multiplier(const Config& config, const char* key) {
  const double value = config.number(key, 1.0);
  if (!(value > 0)) config.fail(key, "must be above 0");
  return static_cast<float>(value);
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderConfig decoder = parse_decoder(config, DecoderDefaults{});
  decoder.embedding_scale = multiplier(config, "embedding_multiplier");
  decoder.logit_divisor = multiplier(config, "logits_scaling");
  set_windows(decoder, config, 0, [](std::size_t) { return false; });
  for (LayerConfig& layer : decoder.layers) {
    layer.attention.shape.scale = multiplier(config, "attention_multiplier");
    layer.residual_scale = multiplier(config, "residual_multiplier");
  }
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("granite", config, weights);
  spec.eos = {2};
  return spec;
}

}  // namespace
}  // namespace granite

TextFamily granite_decoder() {
  return {.parse = granite::parse_text,
          .keys = {.honoured = {"embedding_multiplier", "attention_multiplier", "residual_multiplier",
                                "logits_scaling"}}};
}

Family granite_family() {
  return {"granite", {"GraniteForCausalLM"}, {"granite"}, granite::parse};
}

}  // namespace mmbatch
