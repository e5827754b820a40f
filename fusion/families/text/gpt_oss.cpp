// gpt-oss (arXiv 2508.10925): text only. Every second layer sees a window; attention sinks; experts with a
// clamped gate, whose gate and up lie row by row in turn.

#include <cmath>

#include "fusion/families/experts.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace gpt_oss {
namespace {

/// What holds where a config says nothing of its rotation.
RopeConfig default_rope() {
  RopeConfig rope;
  rope.theta = 150000.0;
  rope.scaling = RopeScaling::yarn;
  rope.factor = 32.0;
  rope.original_positions = 4096;
  rope.whole_dims = false;
  rope.magnitude = 0.1 * std::log(rope.factor) + 1.0;
  return rope;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 201088;
  defaults.hidden = 2880;
  defaults.ffn = 2880;
  defaults.layers = 36;
  defaults.heads = 64;
  defaults.kv_heads = 8;
  defaults.head_dim = 64;
  defaults.norm_eps = 1e-5;
  defaults.rope_theta = 150000.0;
  defaults.max_positions = 131072;
  DecoderConfig decoder = parse_decoder(config, defaults);
  const Bias attention_bias = config.flag("attention_bias", true) ? Bias::present : Bias::absent;
  const auto limit = static_cast<float>(config.number("swiglu_limit", 7.0));
  if (!(limit > 0)) config.fail("swiglu_limit", "must be above 0");
  const bool says_rope = config.has("rope_parameters") || config.has("rope_scaling");
  for (LayerConfig& layer : decoder.layers) {
    if (!says_rope) layer.attention.rope = default_rope();
    layer.attention.bias = layer.attention.output_bias = attention_bias;
    MixtureOfExpertsConfig& experts = layer.experts.emplace(
        parse_experts(config, layer, {.top_k = 4, .ffn = 2880, .ffn_key = "intermediate_size"}));
    experts.router.scores = RouterScores::softmax_top_k;
    experts.router.bias = experts.experts.bias = Bias::present;
    experts.experts.order = GateUpOrder::interleaved;
    experts.gating.clamped = ClampedGate{limit, static_cast<float>(config.number("swiglu_alpha", 1.702))};
  }
  set_windows(decoder, config, parse_window(config, 128), [](std::size_t layer) { return layer % 2 == 0; });
  return decoder;
}

DecoderNames names(const std::string& prefix) {
  const std::string layer = prefix + "layers.{layer}.";
  DecoderNames names = llama_names(prefix);
  names.layers.attention.sinks = layer + "self_attn.sinks";
  names.layers.experts = expert_names(layer);
  names.layers.experts.router.projection = layer + "mlp.router";
  names.layers.experts.experts.all_gate_up_bias = layer + "mlp.experts.gate_up_proj_bias";
  names.layers.experts.experts.all_down_bias = layer + "mlp.experts.down_proj_bias";
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("gpt_oss", config, weights);
  spec.eos = {200002};
  return spec;
}

}  // namespace
}  // namespace gpt_oss

TextFamily gpt_oss_decoder() {
  return {
      .parse = gpt_oss::parse_text,
      .names = gpt_oss::names,
      .keys = {.honoured = {"num_local_experts", "num_experts", "num_experts_per_tok", "experts_per_token",
                            "initial_context_length", "sliding_window", "swiglu_limit", "swiglu_alpha"}}};
}

Family gpt_oss_family() {
  return {"gpt_oss", {"GptOssForCausalLM"}, {"gpt_oss"}, gpt_oss::parse};
}

}  // namespace mmbatch
