// GPT-2: text only. LayerNorm with biases, learned positions, a plain feed-forward layer; weights are
// published [in, out], and queries, keys and values as one tensor.

#include <fmt/format.h>

#include <cmath>

#include "fusion/families/families.h"

namespace mmbatch {
namespace gpt2 {
namespace {

/// A size under GPT-2's own name, or the one that other models have.
std::size_t size(const Config& config, std::initializer_list<const char*> names, std::int64_t otherwise) {
  const std::string key = config.first_of(names);
  return static_cast<std::size_t>(
      config.integer(key.empty() ? *names.begin() : key, otherwise, {1, 1 << 20}));
}

/// Published files have weights [in, out], GGUF files [out, in]: the widest of them tells.
WeightOrder stored_order(const StoredDecoder& stored, std::size_t hidden) {
  const std::string name = stored.names.layers.of(0).attention.query_key_value + ".weight";
  const bool turned = stored.weights.has(name) &&
                      stored.weights.tensor(name).shape == std::vector<std::size_t>{3 * hidden, hidden};
  return turned ? WeightOrder::out_in : WeightOrder::in_out;
}

DecoderConfig parse_text(const Config& config, const StoredDecoder& stored) {
  DecoderConfig decoder;
  decoder.vocab = size(config, {"vocab_size"}, 50257);
  decoder.hidden = size(config, {"n_embd", "hidden_size"}, 768);
  decoder.max_positions = size(config, {"n_positions", "max_position_embeddings"}, 1024);
  if (decoder.max_positions < 2) config.fail("n_positions", "must be at least 2");
  LayerConfig layer;
  SelfAttentionConfig& attention = layer.attention;
  attention.hidden = decoder.hidden;
  attention.bias = attention.output_bias = Bias::present;
  attention.order = stored_order(stored, decoder.hidden);
  AttentionShape& shape = attention.shape;
  shape.heads = shape.kv_heads = size(config, {"n_head", "num_attention_heads"}, 12);
  if (decoder.hidden % shape.heads != 0)
    config.fail("n_head", fmt::format("{} does not divide n_embd {}", shape.heads, decoder.hidden));
  shape.head_dim = decoder.hidden / shape.heads;
  if (shape.head_dim > 512) config.fail("n_head", "at most 512 dimensions of a head are supported");
  if (config.flag("scale_attn_weights", true))
    shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  layer.feed_forward = {.hidden = decoder.hidden,
                        .ffn = size(config, {"n_inner"}, static_cast<std::int64_t>(4 * decoder.hidden)),
                        .kind = FeedForwardKind::plain,
                        .activation = parse_activation(config, "activation_function", Activation::gelu_tanh),
                        .bias = Bias::present,
                        .order = attention.order};
  layer.norm = {NormKind::layer, static_cast<float>(config.number("layer_norm_epsilon", 1e-5)), 0.0f};
  decoder.norm = layer.norm;
  decoder.layers.assign(size(config, {"n_layer", "num_hidden_layers"}, 12), layer);
  if (!config.flag("scale_attn_by_inverse_layer_idx", false)) return decoder;
  for (std::size_t i = 0; i < decoder.layers.size(); ++i)
    decoder.layers[i].attention.shape.scale /= static_cast<float>(i + 1);
  return decoder;
}

DecoderNames tensor_names(const std::string& prefix) {
  LayerNames layer;
  layer.attention.query_key_value = "attn.c_attn";
  layer.attention.output = "attn.c_proj";
  layer.feed_forward.up = "mlp.c_fc";
  layer.feed_forward.down = "mlp.c_proj";
  layer.before_attention = "ln_1";
  layer.before_feed_forward = "ln_2";
  return {.embedding = prefix + "wte",
          .layers = layer.below(prefix + "h.{layer}."),
          .norm = prefix + "ln_f",
          .head = "",
          .positions = prefix + "wpe"};
}

ModelSpec parse(const Config& config, const WeightSource& weights) {
  ModelSpec spec = read_text_only("gpt2", config, weights);
  spec.eos = {50256};
  return spec;
}

}  // namespace
}  // namespace gpt2

TextFamily gpt2_decoder() {
  return {
      .parse = gpt2::parse_text,
      .names = gpt2::tensor_names,
      .head = DefaultHead::embedding,
      .keys = {.honoured = {"n_embd", "n_positions", "n_head", "n_layer", "n_inner", "activation_function",
                            "layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"},
               .without_effect = {{"n_positions is what counts", {"n_ctx"}},
                                  {"heads for other tasks",
                                   {"summary_type", "summary_use_proj", "summary_activation",
                                    "summary_first_dropout", "summary_proj_to_labels"}},
                                  {"attention is computed in f32 anyway", {"reorder_and_upcast_attn"}},
                                  {"training only", {"attn_pdrop"}}}},
      .probe = "wte.weight"};
}

Family gpt2_family() {
  return {"gpt2", {"GPT2LMHeadModel"}, {"gpt2"}, gpt2::parse};
}

}  // namespace mmbatch
