#include "engine/nn/self_attention.h"

#include <vector>

#include "engine/kernels/rows.h"

namespace mmbatch {

SelfAttention::SelfAttention(const Weights& weights, const SelfAttentionConfig& config,
                             const SelfAttentionNames& names)
    : config_(config) {
  if (weights.precision != Precision::f32) config_.shape.arithmetic = AttentionArithmetic::bf16;
  const std::size_t query_width = config.shape.heads * config.shape.head_dim;
  const std::size_t key_width = config.shape.kv_heads * config.shape.head_dim;
  const StoredLinear parts[] = {{names.query, query_width}, {names.key, key_width}, {names.value, key_width}};
  qkv_ = Linear(weights, parts, config.hidden, config.bias);
  output_ = Linear(weights, {names.output, config.hidden}, query_width, config.output_bias);
}

void SelfAttention::forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                            const Linear::Then& then, Scratch& scratch) const {
  const AttentionShape& shape = config_.shape;
  const std::size_t head_dim = shape.head_dim;
  const std::size_t query_width = shape.heads * head_dim, key_width = shape.kv_heads * head_dim;
  const MatrixView<float> qkv = scratch.take(Scratch::qkv, y.rows, query_width + 2 * key_width);
  const MatrixView<float> attended = scratch.take(Scratch::attended, y.rows, query_width);
  qkv_.forward(x, qkv);

  parallel_rows(y.rows, [&](std::size_t r) {
    float* row = qkv.row(r);
    if (input.rope != nullptr) {
      const float *cosine = input.rope->cosine.row(r), *sine = input.rope->sine.row(r);
      for (std::size_t h = 0; h < shape.heads + shape.kv_heads; ++h) {
        simd().rotate(row + h * head_dim, cosine, sine, head_dim / 2);
      }
    }
    if (input.cache == nullptr) return;
    const LayerCache& cache = *input.cache;
    const CachePlace place = input.places[r];
    for (std::size_t h = 0; h < shape.kv_heads; ++h) {
      const std::size_t to = place.block + h * cache.head_stride;
      const float* key = row + query_width + h * head_dim;
      cache.layout.store(RowKind::key, key, cache.keys + to, place.token);
      cache.layout.store(RowKind::value, key + key_width, cache.values + to, place.token);
    }
  });

  std::vector<AttentionSpan> spans(input.spans.begin(), input.spans.end());
  for (AttentionSpan& span : spans) {
    if (input.cache != nullptr) {
      span.rows.keys = input.cache->keys;
      span.rows.values = input.cache->values;
      span.head_stride = input.cache->head_stride;
      span.rows.layout = input.cache->layout;
    } else {
      const float* keys = qkv.row(span.first_row) + query_width;
      span.rows = PagedRows::floats(keys, keys + key_width, head_dim, span.count, qkv.stride);
      span.head_stride = head_dim * sizeof(float);
    }
  }
  attention(shape, {qkv.data, qkv.rows, query_width, qkv.stride}, spans, attended, input.kernel);
  output_.forward(attended, y, then);
}

}  // namespace mmbatch
