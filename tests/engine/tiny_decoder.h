#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/decoder/prompt.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch::testing {

/// Sizes of the decoders below: small, and odd where they may be.
inline DecoderConfig tiny_config() {
  DecoderConfig config;
  config.vocab = 61;
  config.hidden = 24;
  config.max_positions = 256;
  LayerConfig layer;
  layer.attention.hidden = 24;
  layer.attention.shape.heads = 4;
  layer.attention.shape.kv_heads = 2;
  layer.attention.shape.head_dim = 10;
  layer.attention.shape.scale = static_cast<float>(1 / std::sqrt(10.0));
  layer.attention.rope = RopeConfig{};
  layer.feed_forward.hidden = 24;
  layer.feed_forward.ffn = 37;
  config.layers.assign(2, layer);
  return config;
}

/// Sets the window of each layer; 0 = none.
inline void set_windows(DecoderConfig& config, const std::vector<std::size_t>& windows) {
  for (std::size_t i = 0; i < windows.size(); ++i) config.layers[i].attention.shape.window = windows[i];
}

/// How tiny_decoder() names its tensors.
inline DecoderNames tiny_names(const DecoderConfig& config) {
  const bool after = config.layers.front().placement == NormPlacement::before_and_after;
  RecurrentNames recurrent;
  for (const LayerConfig& layer : config.layers) {
    if (layer.recurrent && std::holds_alternative<GatedDeltaNetConfig>(*layer.recurrent)) {
      recurrent =
          GatedDeltaNetNames{"delta.qkv",  "delta.gate", "delta.beta",  "delta.alpha",  "delta.conv1d",
                             "delta.norm", "delta.out",  "delta.A_log", "delta.dt_bias"};
    } else if (layer.recurrent) {
      recurrent = ShortConvolutionNames{"conv.in_proj", "conv.conv", "conv.out_proj"};
    }
  }
  const LayerNames layer{
      .attention = {.query = "self_attn.q_proj",
                    .key = "self_attn.k_proj",
                    .value = "self_attn.v_proj",
                    .output = "self_attn.o_proj",
                    .query_norm = "self_attn.q_norm",
                    .key_norm = "self_attn.k_norm"},
      .recurrent = recurrent,
      .feed_forward = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"},
      .before_attention = "input_layernorm",
      .after_attention = "post_attention_layernorm",
      .before_feed_forward = after ? "pre_feedforward_layernorm" : "post_attention_layernorm",
      .after_feed_forward = "post_feedforward_layernorm",
      .experts = {.router = {"mlp.gate", "", ""},
                  .experts = {"mlp.experts.{expert}.gate_proj", "mlp.experts.{expert}.up_proj",
                              "mlp.experts.{expert}.down_proj", "", "", "", ""},
                  .shared = {"mlp.shared.gate_proj", "mlp.shared.up_proj", "mlp.shared.down_proj"},
                  .shared_gate = "mlp.shared_gate"},
      .experts_beside = {"post_dense_layernorm", "pre_experts_layernorm", "post_experts_layernorm"}};
  return {.embedding = "embed_tokens",
          .layers = layer.below("layers.{layer}."),
          .norm = "norm",
          .head = "lm_head"};
}

/// A layer that mixes tokens by the gated delta rule, or by a short convolution; tiny_names() has their names
/// only where a config has such layers of one kind.
inline void make_recurrent(LayerConfig& layer, const RecurrentConfig& recurrent) {
  layer.recurrent = recurrent;
  layer.attention.rope.reset();
}
inline GatedDeltaNetConfig tiny_delta_net() {
  return {
      .hidden = 24, .key_heads = 2, .value_heads = 4, .key_dim = 6, .value_dim = 5, .taps = 4, .norm = {}};
}
inline ShortConvolutionConfig tiny_convolution() {
  return {.hidden = 24, .taps = 3};
}

inline MixtureOfExpertsConfig tiny_experts() {
  MixtureOfExpertsConfig config;
  config.router = {.hidden = 24, .experts = 6, .top_k = 2, .sum = RouterSum::one};
  config.experts = {.hidden = 24, .ffn = 17, .experts = 6};
  config.shared = FeedForwardConfig{.hidden = 24, .ffn = 12};
  config.shared_gate = SharedGate::sigmoid;
  return config;
}

/// A decoder with random weights, large enough that its answers are not all alike.
/// @param change made to the config before
/// @param slices not null: cut, with this process's slices
inline std::shared_ptr<const Decoder> tiny_decoder(const std::function<void(DecoderConfig&)>& change = {},
                                                   Precision precision = Precision::f32,
                                                   const std::shared_ptr<const Slices>& slices = nullptr) {
  DecoderConfig config = tiny_config();
  if (change) change(config);
  const std::size_t hidden = config.hidden;
  const float deviation = 2.0f / std::sqrt(static_cast<float>(hidden));
  TensorFile file;
  file.add_random("embed_tokens.weight", {config.vocab, hidden}, 0, 1);
  file.add_random("norm.weight", {hidden}, 1, 0.1f);
  file.add_random("lm_head.weight", {config.vocab, hidden}, 0, deviation);
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    const AttentionShape& shape = config.layers[layer].attention.shape;
    const std::size_t query = shape.heads * shape.head_dim, key = shape.kv_heads * shape.head_dim;
    const std::size_t ffn = config.layers[layer].feed_forward.ffn;
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                             "post_feedforward_layernorm"}) {
      file.add_random(prefix + norm + ".weight", {hidden}, 1, 0.1f);
    }
    if (const auto& norms = config.layers[layer].attention.query_key_norm) {
      const bool per_head = norms->span == QueryKeyNorm::Span::head;
      file.add_random(prefix + "self_attn.q_norm.weight", {per_head ? shape.head_dim : query}, 1, 0.1f);
      file.add_random(prefix + "self_attn.k_norm.weight", {per_head ? shape.head_dim : key}, 1, 0.1f);
    }
    file.add_random(prefix + "self_attn.q_proj.weight", {query, hidden}, 0, deviation);
    file.add_random(prefix + "self_attn.k_proj.weight", {key, hidden}, 0, deviation);
    file.add_random(prefix + "self_attn.v_proj.weight", {key, hidden}, 0, deviation);
    file.add_random(prefix + "self_attn.o_proj.weight", {hidden, query}, 0, deviation);
    file.add_random(prefix + "mlp.gate_proj.weight", {ffn, hidden}, 0, deviation);
    file.add_random(prefix + "mlp.up_proj.weight", {ffn, hidden}, 0, deviation);
    file.add_random(prefix + "mlp.down_proj.weight", {hidden, ffn}, 0, deviation);
  }
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    const auto& experts = config.layers[layer].experts;
    if (!experts) continue;
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    for (const char* norm : {"post_dense_layernorm", "pre_experts_layernorm", "post_experts_layernorm"})
      file.add_random(prefix + norm + ".weight", {hidden}, 1, 0.1f);
    const auto add = [&](const std::string& name, std::size_t ffn) {
      file.add_random(prefix + name + ".gate_proj.weight", {ffn, hidden}, 0, deviation);
      file.add_random(prefix + name + ".up_proj.weight", {ffn, hidden}, 0, deviation);
      file.add_random(prefix + name + ".down_proj.weight", {hidden, ffn}, 0, deviation);
    };
    file.add_random(prefix + "mlp.gate.weight", {experts->experts.experts, hidden}, 0, deviation);
    for (std::size_t e = 0; e < experts->experts.experts; ++e)
      add("mlp.experts." + std::to_string(e), experts->experts.ffn);
    add("mlp.shared", experts->shared->ffn);
    file.add_random(prefix + "mlp.shared_gate.weight", {1, hidden}, 0, deviation);
  }
  for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
    if (!config.layers[layer].recurrent) continue;
    const auto* own = std::get_if<GatedDeltaNetConfig>(&*config.layers[layer].recurrent);
    const GatedDeltaNetConfig delta = own != nullptr ? *own : tiny_delta_net();
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    file.add_random(prefix + "delta.qkv.weight", {delta.channels(), hidden}, 0, deviation);
    file.add_random(prefix + "delta.gate.weight", {delta.value_width(), hidden}, 0, deviation);
    file.add_random(prefix + "delta.beta.weight", {delta.value_heads, hidden}, 0, deviation);
    file.add_random(prefix + "delta.alpha.weight", {delta.value_heads, hidden}, 0, deviation);
    file.add_random(prefix + "delta.conv1d.weight", {delta.channels(), 1, delta.taps}, 0, 0.5f);
    file.add_random(prefix + "delta.norm.weight", {delta.value_dim}, 1, 0.1f);
    file.add_random(prefix + "delta.out.weight", {hidden, delta.value_width()}, 0, deviation);
    file.add_random(prefix + "delta.A_log", {delta.value_heads}, 0, 0.5f);
    file.add_random(prefix + "delta.dt_bias", {delta.value_heads}, -1, 0.5f);
    file.add_random(prefix + "conv.in_proj.weight", {3 * hidden, hidden}, 0, deviation);
    file.add_random(prefix + "conv.conv.weight", {hidden, 1, tiny_convolution().taps}, 0, 0.5f);
    file.add_random(prefix + "conv.out_proj.weight", {hidden, hidden}, 0, deviation);
  }
  // The decoder maps its embedding for as long as it lives; the file's name may go before.
  const TemporaryFolder folder;
  file.write(folder.path() / "model.safetensors");
  struct Owned {
    Owned(const std::filesystem::path& path, const DecoderConfig& config, Precision precision,
          const std::shared_ptr<const Slices>& slices)
        : weights(path), decoder(with(slices, Weights(weights, precision)), config, tiny_names(config)) {}
    static Weights with(const std::shared_ptr<const Slices>& slices, Weights weights) {
      weights.slices = slices;
      return weights;
    }
    SafetensorsFolder weights;
    Decoder decoder;
  };
  const auto owned = std::make_shared<const Owned>(folder.path(), config, precision, slices);
  return {owned, &owned->decoder};
}

inline std::shared_ptr<const Prompt> prompt_of(std::vector<std::int32_t> ids,
                                               std::size_t bidirectional_end = 0) {
  auto prompt = std::make_shared<Prompt>();
  prompt->ids = std::move(ids);
  if (bidirectional_end > 0) prompt->bidirectional = {{0, bidirectional_end}};
  return prompt;
}

/// Logits of all positions, computed in one piece: [tokens, vocab]
inline Matrix<float> logits_in_one_piece(const Decoder& decoder, const Prompt& prompt,
                                         AttentionKernel kernel = AttentionKernel::flash) {
  const std::size_t table_blocks = (prompt.tokens() + 15) / 16;
  const std::size_t groups = CacheLayout(decoder.config(), 16, KvPrecision::f32).groups.size();
  KvPool pool(decoder.config(), groups * table_blocks, 16, KvPrecision::f32, /*state_slots=*/1);
  std::vector<std::int32_t> blocks(groups * table_blocks);
  std::iota(blocks.begin(), blocks.end(), 0);
  StepBatch batch;
  batch.add({.prompt = prompt,
             .answer = {},
             .draft = {},
             .first = 0,
             .count = prompt.tokens(),
             .logit_rows = prompt.tokens(),
             .rope_tokens = prompt.tokens(),
             .state_after = 0});
  for (std::size_t g = 0; g < groups; ++g)
    batch.add_table(std::span(blocks).subspan(g * table_blocks, table_blocks));
  Scratch scratch;
  return decoder.forward(batch, pool, scratch, kernel);
}

}  // namespace mmbatch::testing
