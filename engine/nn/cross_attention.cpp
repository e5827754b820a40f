#include "engine/nn/cross_attention.h"

#include <vector>

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

std::size_t query_width(const CrossAttentionConfig& config) {
  return config.shape.heads * config.shape.head_dim;
}

std::size_t key_width(const CrossAttentionConfig& config) {
  return config.shape.kv_heads * config.shape.head_dim;
}

}  // namespace

CrossKeys::CrossKeys(const Weights& weights, const CrossAttentionConfig& config,
                     std::span<const CrossAttentionNames> layers) {
  std::vector<StoredLinear> parts;
  for (const CrossAttentionNames& layer : layers) {
    parts.push_back({layer.key, key_width(config)});
    parts.push_back({layer.value, key_width(config)});
  }
  projection_ = Linear(weights, parts, config.encoded, config.bias);
}

CrossAttention::CrossAttention(const Weights& weights, const CrossAttentionConfig& config,
                               const CrossAttentionNames& names)
    : config_(config),
      query_(weights, {names.query, query_width(config)}, config.hidden, config.bias),
      output_(weights, {names.output, config.hidden}, query_width(config), config.bias) {
  config_.shape.arithmetic = attention_arithmetic(weights.precision);
}

void CrossAttention::forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                             const Linear::Then& then, Scratch& scratch) const {
  const MatrixView<float> queries = scratch.take(Scratch::qkv, y.rows, query_width(config_));
  const MatrixView<float> attended = scratch.take(Scratch::attended, y.rows, query_width(config_));
  query_.forward(x, queries);
  std::vector<AttentionSpan> spans(input.cross.begin(), input.cross.end());
  if (input.cache != nullptr) {
    for (AttentionSpan& span : spans) input.cache->fill(span);
  }
  attention(config_.shape, queries, spans, attended, input.kernel);
  output_.forward(attended, y, then);
}

void CrossAttention::store(const CrossKeys& keys, MatrixView<const float> encoded, const LayerCache& cache,
                           std::span<const CachePlace> places, Scratch& scratch) const {
  const MatrixView<float> made = scratch.take(Scratch::qkv, encoded.rows, keys.out());
  keys.forward(encoded, made);
  parallel_rows(made.rows, [&](std::size_t r) {
    cache.store(made.row(r), config_.shape.kv_heads, config_.shape.head_dim, places[r]);
  });
}

}  // namespace mmbatch
