#include "engine/nn/self_attention.h"

#include <cstring>
#include <vector>

#include "engine/kernels/rows.h"

namespace mmbatch {

SelfAttentionNames SelfAttentionNames::stored(const SelfAttentionConfig& config) const {
  SelfAttentionNames names = *this;
  if (!config.has_keys()) names.key = names.key_norm = names.query_key_value = {};
  if (!config.has_keys() || config.values == ValueSource::keys) names.value = {};
  return names;
}

SelfAttention::SelfAttention(const Weights& weights, const SelfAttentionConfig& config,
                             const SelfAttentionNames& pattern)
    : config_(config) {
  const SelfAttentionNames names = pattern.stored(config);
  config_.shape.arithmetic = attention_arithmetic(weights.precision);
  if (!names.query_key_value.empty()) {
    const std::size_t width = projected_width() + 2 * key_width();
    qkv_ = Linear(weights, {names.query_key_value, width, config.order}, config.hidden, config.bias);
    query_ = key_value_ = qkv_.part(0, 1);
  } else {
    std::vector<StoredLinear> parts = {{names.query, projected_width(), config.order, config.bounds}};
    for (const std::string& name : {names.key, names.value}) {
      if (!name.empty()) parts.push_back({name, key_width(), config.order, config.bounds});
    }
    qkv_ = Linear(weights, parts, config.hidden, config.bias);
    query_ = qkv_.part(0, 1);
    if (parts.size() > 1) key_value_ = qkv_.part(1, parts.size() - 1);
  }
  output_ = Linear(weights, {names.output, config.hidden, config.order, config.bounds}, query_width(),
                   config.output_bias);
  if (config.value_norm) value_norm_ = Norm(weights, "", config.shape.head_dim, *config.value_norm);
  if (!names.sinks.empty()) sinks_ = to_floats(weights.tensor(names.sinks, {config.shape.heads}));
  if (!config.query_key_norm) return;
  const bool per_head = config.query_key_norm->span == QueryKeyNorm::Span::head;
  const auto width = [&](std::size_t all) { return per_head ? config.shape.head_dim : all; };
  query_norm_ = Norm(weights, names.query_norm, width(query_width()), config.query_key_norm->norm);
  if (config.has_keys())
    key_norm_ = Norm(weights, names.key_norm, width(key_width()), config.query_key_norm->norm);
}

std::size_t SelfAttention::stored_key_width() const {
  if (!config_.has_keys()) return 0;
  return (config_.values == ValueSource::keys ? 1 : 2) * key_width();
}

void SelfAttention::make_values(float* keys_values) const {
  float* values = keys_values + key_width();
  if (config_.values == ValueSource::keys) std::memcpy(values, keys_values, key_width() * sizeof(float));
  if (!config_.value_norm) return;
  const std::size_t head_dim = config_.shape.head_dim;
  for (std::size_t h = 0; h < config_.shape.kv_heads; ++h)
    value_norm_.row(values + h * head_dim, values + h * head_dim);
}

void LayerCache::store(const float* keys_values, std::size_t kv_heads, std::size_t head_dim,
                       CachePlace place) const {
  const std::size_t in_block = static_cast<std::size_t>(place.block) * block_stride;
  for (std::size_t h = 0; h < kv_heads; ++h) {
    const std::size_t to = in_block + h * head_stride;
    const float* key = keys_values + h * head_dim;
    layout.store(RowKind::key, key, keys + to, place.token);
    layout.store(RowKind::value, key + kv_heads * head_dim, values + to, place.token);
  }
}

void LayerCache::fill(AttentionSpan& span) const {
  span.rows.keys = keys;
  span.rows.values = values;
  span.rows.block_stride = block_stride;
  span.rows.layout = layout;
  span.head_stride = head_stride;
}

AttentionShape SelfAttention::shape() const {
  AttentionShape shape = config_.shape;
  shape.sinks = sinks_;
  return shape;
}

void SelfAttention::prepare(const Norm& norm, float* heads, std::size_t count, const AttentionInput& input,
                            std::size_t row) const {
  const std::size_t head_dim = config_.shape.head_dim;
  if (config_.query_key_norm) {
    const bool per_head = config_.query_key_norm->span == QueryKeyNorm::Span::head;
    for (std::size_t h = 0; h < (per_head ? count : 1); ++h)
      norm.row(heads + h * head_dim, heads + h * head_dim);
  }
  if (input.rope == nullptr) return;
  const float *cosine = input.rope->cosine.row(row), *sine = input.rope->sine.row(row);
  const std::size_t parts = input.rope->parts, half = input.rope->cosine.cols() / parts;
  const bool neighbours = config_.rope && config_.rope->pairs == RopePairs::neighbours;
  for (std::size_t h = 0; h < count; ++h) {
    if (neighbours) part_neighbours(heads + h * head_dim, 2 * parts * half);
    for (std::size_t p = 0; p < parts; ++p)
      simd().rotate(heads + h * head_dim + 2 * p * half, cosine + p * half, sine + p * half, half);
  }
}

void SelfAttention::scale_query(float* query, const AttentionInput& input, std::size_t row) const {
  if (input.rope == nullptr || input.rope->query_scale.empty()) return;
  const float scale = input.rope->query_scale[row];
  for (std::size_t i = 0; i < query_width(); ++i) query[i] *= scale;
}

MatrixView<float> SelfAttention::take_gates(std::size_t rows, Scratch& scratch) const {
  if (config_.gate == OutputGate::none) return {};
  return scratch.take(Scratch::widened, rows, query_width());
}

void SelfAttention::part_gates(float* queries, MatrixView<float> gates, std::size_t row) const {
  if (gates.empty()) return;
  const std::size_t head_dim = config_.shape.head_dim;
  for (std::size_t h = 0; h < config_.shape.heads; ++h) {
    const float* pair = queries + 2 * h * head_dim;
    std::memcpy(gates.row(row) + h * head_dim, pair + head_dim, head_dim * sizeof(float));
    std::memmove(queries + h * head_dim, pair, head_dim * sizeof(float));
  }
}

void SelfAttention::multiply_by(MatrixView<float> gates, MatrixView<float> attended) const {
  if (gates.empty()) return;
  parallel_rows(attended.rows, [&](std::size_t r) {
    simd().multiply_by_sigmoid(attended.row(r), gates.row(r), attended.cols);
  });
}

void SelfAttention::store(const float* keys_values, const AttentionInput& input, std::size_t row) const {
  if (input.cache == nullptr) return;
  input.cache->store(keys_values, config_.shape.kv_heads, config_.shape.head_dim, input.places[row]);
}

void SelfAttention::attend_cached(MatrixView<const float> queries, MatrixView<float> attended,
                                  const AttentionInput& input) const {
  std::vector<AttentionSpan> spans(input.spans.begin(), input.spans.end());
  for (AttentionSpan& span : spans) input.cache->fill(span);
  attention(shape(), queries, spans, attended, input.kernel);
}

void SelfAttention::forward(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                            const Linear::Then& then, Scratch& scratch) const {
  const AttentionShape& shape = config_.shape;
  const std::size_t first_key = projected_width();
  const std::size_t keys_values = config_.has_keys() ? 2 * key_width() : 0;
  const MatrixView<float> qkv = scratch.take(Scratch::qkv, y.rows, first_key + keys_values);
  const MatrixView<float> attended = scratch.take(Scratch::attended, y.rows, query_width());
  const MatrixView<float> gates = take_gates(y.rows, scratch);
  qkv_.forward(x, qkv.col_range(0, first_key + stored_key_width()));
  parallel_rows(y.rows, [&](std::size_t r) {
    part_gates(qkv.row(r), gates, r);
    prepare(query_norm_, qkv.row(r), shape.heads, input, r);
    scale_query(qkv.row(r), input, r);
    if (!config_.has_keys()) return;
    make_values(qkv.row(r) + first_key);
    prepare(key_norm_, qkv.row(r) + first_key, shape.kv_heads, input, r);
    store(qkv.row(r) + first_key, input, r);
  });
  const MatrixView<const float> queries = qkv.col_range(0, query_width());
  if (input.cache != nullptr) {
    attend_cached(queries, attended, input);
  } else {
    std::vector<AttentionSpan> spans(input.spans.begin(), input.spans.end());
    for (AttentionSpan& span : spans) {
      const float* keys = qkv.row(span.first_row) + first_key;
      span.rows = PagedRows::floats(keys, keys + key_width(), shape.head_dim, span.count, qkv.stride);
      span.head_stride = shape.head_dim * sizeof(float);
    }
    attention(this->shape(), queries, spans, attended, input.kernel);
  }
  multiply_by(gates, attended);
  output_.forward(attended, y, then);
}

void SelfAttention::store_keys(const LayerInput& x, const AttentionInput& input, Scratch& scratch) const {
  if (!config_.has_keys()) return;
  const std::size_t copied = 2 * key_width() - stored_key_width();
  const MatrixView<float> made = scratch.take(Scratch::qkv, x.x.rows, key_value_.out() + copied);
  key_value_.forward(x, made.col_range(0, key_value_.out()));
  const MatrixView<float> keys_values = made.col_range(made.cols - 2 * key_width(), 2 * key_width());
  parallel_rows(keys_values.rows, [&](std::size_t r) {
    make_values(keys_values.row(r));
    prepare(key_norm_, keys_values.row(r), config_.shape.kv_heads, input, r);
    store(keys_values.row(r), input, r);
  });
}

void SelfAttention::attend_from(const LayerInput& x, MatrixView<float> y, const AttentionInput& input,
                                const Linear::Then& then, Scratch& scratch) const {
  const MatrixView<float> made = scratch.take(Scratch::qkv, y.rows, query_.out());
  const MatrixView<float> attended = scratch.take(Scratch::attended, y.rows, query_width());
  const MatrixView<float> gates = take_gates(y.rows, scratch);
  query_.forward(x, made);
  const MatrixView<float> queries = made.col_range(0, query_width());
  parallel_rows(y.rows, [&](std::size_t r) {
    part_gates(queries.row(r), gates, r);
    prepare(query_norm_, queries.row(r), config_.shape.heads, input, input.query_rows[r]);
    scale_query(queries.row(r), input, input.query_rows[r]);
  });
  attend_cached(queries, attended, input);
  multiply_by(gates, attended);
  output_.forward(attended, y, then);
}

}  // namespace mmbatch
