// Ministral 3: Mistral's block with YaRN, whose queries grow with the logarithm of their position.

#include "fusion/families/families.h"

namespace mmbatch {
namespace ministral3 {
namespace {

/// What a config.json says that says nothing of its rotary embedding.
Config default_rope(const Config& config) {
  return Config::parse(R"({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 16.0,
                           "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0,
                           "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1}})",
                       config.source());
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 131072;
  defaults.ffn = 14336;
  defaults.layers = 34;
  defaults.kv_heads = 8;
  defaults.head_dim = 128;
  defaults.norm_eps = 1e-5;
  defaults.max_positions = 262144;
  defaults.growing_queries = true;
  DecoderConfig decoder = parse_decoder(config, defaults);
  if (!config.has("rope_parameters") && !config.has("rope_scaling")) {
    const RopeConfig rope =
        parse_rope(default_rope(config), defaults.rope(decoder.layers.front().attention.shape.head_dim));
    for (LayerConfig& layer : decoder.layers) layer.attention.rope = rope;
  }
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
}  // namespace ministral3

TextFamily ministral3_decoder() {
  return {.parse = ministral3::parse_text, .keys = {.honoured = {"sliding_window"}}};
}

Family ministral3_family() {
  return {"ministral3", {"Ministral3ForCausalLM"}, {"ministral3"}, ministral3::parse};
}

}  // namespace mmbatch
