// LFM2 (Liquid AI, 2025): most layers mix tokens by a short convolution between two gates, whose state does
// not grow with the text; the others attend, with norms of each head's queries and keys.

#include <fmt/format.h>

#include <algorithm>

#include "fusion/families/families.h"

namespace mmbatch {
namespace lfm2 {
namespace {

std::size_t size(const Config& config, const char* key, std::int64_t otherwise) {
  return static_cast<std::size_t>(config.integer(key, otherwise, {1, 1 << 20}));
}

/// The width of the feed-forward layers, which is not what the file calls so: two thirds of it, times a
/// factor, in whole multiples.
std::size_t ffn_width(const Config& config) {
  const std::string key = config.has("block_ff_dim") ? "block_ff_dim" : "intermediate_size";
  const std::size_t given = size(config, key.c_str(), 12288);
  if (!config.flag("block_auto_adjust_ff_dim", true)) return given;
  const auto adjusted = static_cast<std::size_t>(2.0 * static_cast<double>(given) / 3.0);
  if (config.is_null("block_ffn_dim_multiplier")) return std::max<std::size_t>(adjusted, 1);
  const double factor = config.number("block_ffn_dim_multiplier", 1.0);
  if (!(factor > 0 && factor <= 1024)) config.fail("block_ffn_dim_multiplier", "expected a number above 0");
  const auto width = static_cast<std::size_t>(factor * static_cast<double>(adjusted));
  const std::size_t multiple = size(config, "block_multiple_of", 256);
  return std::max<std::size_t>((width + multiple - 1) / multiple, 1) * multiple;
}

/// Which layers attend: by layer_types, else by full_attn_idxs; without either all.
std::vector<bool> attending(const Config& config, std::size_t layers) {
  std::vector<bool> attend(layers, false);
  if (config.has("layer_types")) {
    const std::vector<std::string> types = config.texts("layer_types");
    if (types.size() != layers)
      config.fail("layer_types", fmt::format("names {} layers, there are {}", types.size(), layers));
    for (std::size_t i = 0; i < layers; ++i) {
      if (types[i] != "full_attention" && types[i] != "conv")
        config.fail("layer_types", fmt::format("'{}' is not supported; supported are full_attention and conv",
                                               types[i].substr(0, 80)));
      attend[i] = types[i] == "full_attention";
    }
    return attend;
  }
  if (!config.has("full_attn_idxs")) return std::vector<bool>(layers, true);
  for (const std::int64_t layer : config.integers("full_attn_idxs")) {
    if (layer < 0 || layer >= static_cast<std::int64_t>(layers))
      config.fail("full_attn_idxs", fmt::format("there is no layer {}", layer));
    attend[static_cast<std::size_t>(layer)] = true;
  }
  return attend;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder&) {
  DecoderDefaults defaults;
  defaults.vocab = 65536;
  defaults.hidden = 2560;
  defaults.kv_heads = 8;
  defaults.max_positions = 128000;
  defaults.rope_theta = 1000000.0;
  DecoderConfig decoder = parse_decoder(config, defaults);
  decoder.norm.eps = static_cast<float>(config.number("norm_eps", 1e-5));
  const ShortConvolutionConfig convolution{
      .hidden = decoder.hidden,
      .taps = size(config, "conv_L_cache", 3),
      .bias = config.flag("conv_bias", false) ? Bias::present : Bias::absent};
  const std::vector<bool> attend = attending(config, decoder.layers.size());
  const std::size_t ffn = ffn_width(config);
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    LayerConfig& layer = decoder.layers[i];
    layer.norm = decoder.norm;
    layer.feed_forward.ffn = ffn;
    if (attend[i]) {
      layer.attention.query_key_norm = {layer.norm, QueryKeyNorm::Span::head};
    } else {
      layer.recurrent = convolution;
      layer.attention.rope.reset();
    }
  }
  return decoder;
}

DecoderNames tensor_names(const std::string& prefix) {
  DecoderNames names = llama_names(prefix);
  const std::string layer = prefix + "layers.{layer}.";
  names.norm = prefix + "embedding_norm";
  names.layers.before_attention = layer + "operator_norm";
  names.layers.before_feed_forward = layer + "ffn_norm";
  names.layers.attention.output = layer + "self_attn.out_proj";
  names.layers.attention.query_norm = layer + "self_attn.q_layernorm";
  names.layers.attention.key_norm = layer + "self_attn.k_layernorm";
  names.layers.feed_forward = {layer + "feed_forward.w1", layer + "feed_forward.w3",
                               layer + "feed_forward.w2"};
  names.layers.recurrent = ShortConvolutionNames{
      .input = layer + "conv.in_proj", .convolution = layer + "conv.conv", .output = layer + "conv.out_proj"};
  return names;
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("lfm2", config, weights);
  spec.eos = {7};
  return spec;
}

}  // namespace
}  // namespace lfm2

TextFamily lfm2_decoder() {
  return {.parse = lfm2::parse_text,
          .names = lfm2::tensor_names,
          .head = DefaultHead::if_stored,
          .keys = {.honoured = {"norm_eps", "block_ff_dim", "block_auto_adjust_ff_dim",
                                "block_ffn_dim_multiplier", "block_multiple_of", "full_attn_idxs",
                                "conv_L_cache", "conv_bias", "tie_embedding"},
                   .without_effect = {{"other names of hidden_size, num_attention_heads, norm_eps and "
                                       "rope_theta",
                                       {"block_dim", "conv_dim", "conv_dim_out", "num_heads",
                                        "block_norm_eps", "theta"}},
                                      {"training only",
                                       {"block_mlp_init_scale", "block_out_init_scale",
                                        "block_use_xavier_init", "conv_use_xavier_init"}}},
                   .only_at = {{"block_use_swiglu", {"true"}}, {"use_pos_enc", {"true"}}}}};
}

Family lfm2_family() {
  return {"lfm2", {"Lfm2ForCausalLM"}, {"lfm2"}, lfm2::parse};
}

}  // namespace mmbatch
