// Qwen 3.5 with experts: as Qwen 3.5, with a mixture of experts in place of every feed-forward layer, and an
// expert beside them that every token goes to as far as its gate lets it.

#include "fusion/families/experts.h"
#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace qwen3_5_moe {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 248320;
  defaults.hidden = 2048;
  defaults.ffn = 512;  // of each expert: the layers have no other feed-forward
  defaults.layers = 40;
  defaults.heads = 16;
  defaults.kv_heads = 2;
  defaults.head_dim = 256;
  defaults.max_positions = 32768;
  DecoderConfig decoder = qwen3_5_text(config, defaults);
  const auto shared = config.integer("shared_expert_intermediate_size", 512, {1, 1 << 20});
  for (LayerConfig& layer : decoder.layers) {
    layer.experts = parse_experts(config, layer, {.experts = 256, .top_k = 8, .ffn = 512});
    layer.experts->router.sum = RouterSum::one;
    layer.experts->shared = layer.feed_forward;
    layer.experts->shared->ffn = static_cast<std::size_t>(shared);
    layer.experts->shared_gate = SharedGate::sigmoid;
  }
  return decoder;
}

DecoderNames names(const std::string& prefix) {
  DecoderNames names = qwen3_5_names(prefix);
  names.layers.experts = expert_names(prefix + "layers.{layer}.");
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  return qwen3_5_spec("qwen3_5_moe", "qwen3_5_moe_text", config, weights);
}

}  // namespace
}  // namespace qwen3_5_moe

TextFamily qwen3_5_moe_decoder() {
  KnownKeys keys = qwen3_5_keys();
  keys.honoured.insert(keys.honoured.end(), {"num_experts", "num_local_experts", "num_experts_per_tok",
                                             "moe_intermediate_size", "shared_expert_intermediate_size"});
  keys.without_effect.push_back({"what a token's experts say always counts 1 together", {"norm_topk_prob"}});
  return {.parse = qwen3_5_moe::parse_text, .names = qwen3_5_moe::names, .keys = keys};
}

Family qwen3_5_moe_text_family() {
  return {"qwen3_5_moe_text",
          {"Qwen3_5MoeForCausalLM"},
          {"qwen3_5_moe_text"},
          [](const Config& config, const WeightSource& weights) {
            return qwen3_5_text_spec("qwen3_5_moe_text", config, weights);
          }};
}

Family qwen3_5_moe_family() {
  return {"qwen3_5_moe", {"Qwen3_5MoeForConditionalGeneration"}, {"qwen3_5_moe"}, qwen3_5_moe::parse};
}

}  // namespace mmbatch
