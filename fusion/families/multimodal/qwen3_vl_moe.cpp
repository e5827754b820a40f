// Qwen3-VL with experts (arXiv 2511.21631): as Qwen3-VL, with a mixture of experts in place of most
// feed-forward layers of the decoder. What a token's experts say counts 1 together, whatever norm_topk_prob
// says.

#include "fusion/families/experts.h"
#include "fusion/families/multimodal/qwen_vl.h"

namespace mmbatch {
namespace qwen3_vl_moe {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 151936;
  defaults.hidden = 2048;
  defaults.ffn = 5632;
  defaults.layers = 24;
  defaults.heads = 16;
  defaults.kv_heads = 16;
  defaults.rope_theta = 500000.0;
  defaults.max_positions = 128000;
  DecoderConfig decoder = qwen3_vl_text(config, defaults);
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    LayerConfig& layer = decoder.layers[i];
    if (!has_experts(config, i)) continue;
    layer.experts = parse_experts(config, layer, {.experts = 60, .top_k = 4, .ffn = 1408});
    layer.experts->router.sum = RouterSum::one;
  }
  return decoder;
}

DecoderNames names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  names.layers.experts = expert_names(prefix + "layers.{layer}.");
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  return qwen3_vl_spec("qwen3_vl_moe", "qwen3_vl_moe_text", config, weights);
}

}  // namespace
}  // namespace qwen3_vl_moe

TextFamily qwen3_vl_moe_decoder() {
  return {.parse = qwen3_vl_moe::parse_text,
          .names = qwen3_vl_moe::names,
          .keys = {.honoured = {"num_experts", "num_local_experts", "num_experts_per_tok",
                                "moe_intermediate_size", "norm_topk_prob", "decoder_sparse_step",
                                "mlp_only_layers"}}};
}

Family qwen3_vl_moe_family() {
  return {"qwen3_vl_moe", {"Qwen3VLMoeForConditionalGeneration"}, {"qwen3_vl_moe"}, qwen3_vl_moe::parse};
}

}  // namespace mmbatch
