// SmolLM 3: text only. Llama's block, with layers whose queries and keys are not rotated (arXiv 2501.18795).

#include <fmt/format.h>

#include "fusion/families/families.h"

namespace mmbatch {
namespace smollm3 {
namespace {

/// Whether each layer rotates its queries and keys. In "no_rope_layers", 1 means that it does.
std::vector<bool> rotated_layers(const Config& config, std::size_t layers) {
  const std::int64_t interval = config.integer("no_rope_layer_interval", 4, {1, 4096});
  std::vector<bool> rotated;
  for (std::size_t i = 0; i < layers; ++i)
    rotated.push_back((i + 1) % static_cast<std::size_t>(interval) != 0);
  if (!config.has("no_rope_layers")) return rotated;
  const std::vector<std::int64_t> stated = config.integers("no_rope_layers");
  if (stated.size() != layers) {
    config.fail("no_rope_layers",
                fmt::format("names {} layers, num_hidden_layers is {}", stated.size(), layers));
  }
  for (std::size_t i = 0; i < layers; ++i) {
    if (stated[i] != 0 && stated[i] != 1)
      config.fail("no_rope_layers", "must be a list of 1 (rotated) and 0 (not rotated)");
    rotated[i] = stated[i] == 1;
  }
  return rotated;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 128256;
  defaults.hidden = 2048;
  defaults.layers = 36;
  defaults.heads = 16;
  defaults.kv_heads = 4;
  defaults.rope_theta = 2000000.0;
  defaults.max_positions = 32768;
  DecoderConfig decoder = parse_decoder(config, defaults);
  const std::vector<bool> rotated = rotated_layers(config, decoder.layers.size());
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    if (!rotated[i]) decoder.layers[i].attention.rope.reset();
  }
  const bool windows = config.flag("use_sliding_window", false) && config.has("sliding_window");
  set_windows(decoder, config, windows ? parse_window(config, 1) : 0,
              [&](std::size_t layer) { return !rotated[layer]; });
  return decoder;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("smollm3", config, weights);
  spec.eos = {128001};
  return spec;
}

}  // namespace
}  // namespace smollm3

TextFamily smollm3_decoder() {
  return {
      .parse = smollm3::parse_text,
      .head = DefaultHead::embedding,
      .keys = {
          .honoured = {"no_rope_layers", "no_rope_layer_interval", "use_sliding_window", "sliding_window"},
          .without_effect = {{"layers with a window are those without rotation", {"max_window_layers"}}}}};
}

Family smollm3_family() {
  return {"smollm3", {"SmolLM3ForCausalLM"}, {"smollm3"}, smollm3::parse};
}

}  // namespace mmbatch
