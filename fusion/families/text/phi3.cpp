// Phi 3, 3.5 and 4 mini (arXiv 2404.14219, 2503.01743): text only. Llama's block, with queries, keys and
// values stored as one tensor, gate and up as another, and factors of rotation for long texts.

#include "fusion/families/families.h"

namespace mmbatch {
namespace phi3 {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 32064;
  defaults.hidden = 3072;
  defaults.ffn = 8192;
  defaults.norm_eps = 1e-5;
  defaults.max_positions = 4096;
  defaults.original_positions = 4096;
  defaults.rotated = RotatedPart::any;
  defaults.rope_names = {{"su", "longrope"}, {"yarn", "longrope"}};
  DecoderConfig decoder = parse_decoder(config, defaults);
  set_windows(decoder, config, config.has("sliding_window") ? parse_window(config, 1) : 0,
              [](std::size_t) { return true; });
  return decoder;
}

DecoderNames tensor_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.layers.attention.query = names.layers.attention.key = names.layers.attention.value = "";
  names.layers.attention.query_key_value = layer + "self_attn.qkv_proj";
  names.layers.feed_forward.gate = names.layers.feed_forward.up = "";
  names.layers.feed_forward.gate_up = layer + "mlp.gate_up_proj";
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("phi3", config, weights);
  spec.eos = {32000};
  return spec;
}

}  // namespace
}  // namespace phi3

TextFamily phi3_decoder() {
  return {
      .parse = phi3::parse_text,
      .names = phi3::tensor_names,
      .keys = {
          .honoured = {"sliding_window"},
          .only_at = {{"full_attn_mod", {"1"}}, {"interpolate_factor", {"1"}}, {"lm_head_bias", {"false"}}}}};
}

Family phi3_family() {
  return {"phi3", {"Phi3ForCausalLM"}, {"phi3"}, phi3::parse};
}

}  // namespace mmbatch
