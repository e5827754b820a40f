// Qwen 3 with experts (arXiv 2505.09388): text only. Qwen 3's block, most layers with a mixture of experts in
// place of the feed-forward.

#include "fusion/families/experts.h"
#include "fusion/families/families.h"

namespace mmbatch {
namespace qwen3_moe {
namespace {

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 151936;
  defaults.hidden = 2048;
  defaults.ffn = 6144;
  defaults.layers = 24;
  defaults.kv_heads = 4;
  defaults.max_positions = 32768;
  DecoderConfig decoder = parse_decoder(config, defaults);
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    LayerConfig& layer = decoder.layers[i];
    layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
    if (!has_experts(config, i)) continue;
    layer.experts = parse_experts(config, layer, {});
    if (config.flag("norm_topk_prob", false)) layer.experts->router.sum = RouterSum::one;
  }
  const bool windows = config.flag("use_sliding_window", false);
  set_windows(decoder, config, windows ? parse_window(config, 4096) : 0, [](std::size_t) { return true; });
  return decoder;
}

DecoderNames names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  names.layers.experts = expert_names(prefix + "layers.{layer}.");
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("qwen3_moe", config, weights);
  spec.eos = {151645};
  return spec;
}

}  // namespace
}  // namespace qwen3_moe

TextFamily qwen3_moe_decoder() {
  return {
      .parse = qwen3_moe::parse_text,
      .names = qwen3_moe::names,
      .keys = {.honoured = {"num_experts", "num_local_experts", "num_experts_per_tok",
                            "moe_intermediate_size", "norm_topk_prob", "decoder_sparse_step",
                            "mlp_only_layers", "use_sliding_window", "sliding_window", "max_window_layers"}}};
}

Family qwen3_moe_family() {
  return {"qwen3_moe", {"Qwen3MoeForCausalLM"}, {"qwen3_moe"}, qwen3_moe::parse};
}

}  // namespace mmbatch
