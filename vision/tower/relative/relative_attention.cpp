#include "vision/tower/relative/relative_attention.h"

#include <algorithm>

#include "engine/kernels/attention.h"
#include "engine/kernels/rows.h"
#include "vision/tower/position_sampling.h"

namespace mmbatch {
namespace {

float product(const float* a, const float* b, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

RelativeAttention::RelativeAttention(const Weights& weights, const SelfAttentionConfig& config,
                                     const SelfAttentionNames& names, const RelativeTables& tables)
    : config_(config),
      qkv_(weights, {names.query_key_value, 3 * width()}, config.hidden, config.bias),
      output_(weights, {names.output, config.hidden}, width(), config.output_bias),
      rows_(to_floats(weights.tensor(tables.rows, {tables.length, config.shape.head_dim}))),
      columns_(to_floats(weights.tensor(tables.columns, {tables.length, config.shape.head_dim}))) {
  config_.shape.arithmetic = attention_arithmetic(weights.precision);
}

std::size_t RelativeAttention::bytes() const {
  return qkv_.bytes() + output_.bytes() + (rows_.size() + columns_.size()) * sizeof(float);
}

std::vector<float> RelativeAttention::table_for(const std::vector<float>& stored, std::size_t count) const {
  const std::size_t dim = config_.shape.head_dim, wanted = 2 * count - 1;
  if (stored.size() == wanted * dim) return stored;
  std::vector<float> table(wanted * dim, 0.0f);
  const std::vector<PositionTaps> taps =
      position_taps(PositionSampling::centres, wanted, stored.size() / dim);
  for (std::size_t r = 0; r < wanted; ++r) {
    for (std::size_t i = 0; i < taps[r].weights.size(); ++i) {
      const float* from = &stored[(taps[r].first + i) * dim];
      for (std::size_t d = 0; d < dim; ++d) table[r * dim + d] += taps[r].weights[i] * from[d];
    }
  }
  return table;
}

/// A bias is part of a product of longer vectors: behind a query stand its biases for every row and column,
/// behind a key ones where its own row and column are.
void RelativeAttention::forward(MatrixView<const float> x, const PatchGrid& grid, MatrixView<float> y,
                                Scratch& scratch) const {
  const AttentionShape& shape = config_.shape;
  const std::size_t dim = shape.head_dim, wide = widened(dim, grid), all = shape.heads * wide;
  const MatrixView<float> qkv = scratch.take(Scratch::qkv, x.rows, 3 * width());
  qkv_.forward(x, qkv);
  const std::vector<float> down = table_for(rows_, grid.rows), across = table_for(columns_, grid.columns);
  Matrix<float> queries(x.rows, all), attended(x.rows, all);
  auto keys = Matrix<float>::zeros(x.rows, all), values = Matrix<float>::zeros(x.rows, all);
  parallel_rows(x.rows, [&](std::size_t r) {
    const std::size_t row = r % grid.count() / grid.columns, column = r % grid.columns;
    for (std::size_t h = 0; h < shape.heads; ++h) {
      const float* query = qkv.row(r) + h * dim;
      float *q = queries.row(r) + h * wide, *k = keys.row(r) + h * wide;
      for (std::size_t i = 0; i < dim; ++i) q[i] = query[i] * shape.scale;
      for (std::size_t i = 0; i < grid.rows; ++i)
        q[dim + i] = product(query, &down[(row + grid.rows - 1 - i) * dim], dim);
      for (std::size_t i = 0; i < grid.columns; ++i)
        q[dim + grid.rows + i] = product(query, &across[(column + grid.columns - 1 - i) * dim], dim);
      std::copy_n(query + width(), dim, k);
      k[dim + row] = k[dim + grid.rows + column] = 1.0f;
      std::copy_n(query + 2 * width(), dim, values.row(r) + h * wide);
    }
  });
  AttentionShape widened_shape = shape;
  widened_shape.head_dim = wide;
  widened_shape.scale = 1.0f;
  const PositionRange whole{0, grid.count()};
  std::vector<AttentionSpan> spans(x.rows / grid.count());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    AttentionSpan& span = spans[i];
    span.first_row = i * grid.count();
    span.count = grid.count();
    span.rows =
        PagedRows::floats(keys.row(span.first_row), values.row(span.first_row), wide, span.count, all);
    span.head_stride = wide * sizeof(float);
    span.bidirectional = {&whole, 1};
  }
  attention(widened_shape, queries.view(), spans, attended.view());
  const MatrixView<float> narrow = scratch.take(Scratch::attended, x.rows, width());
  parallel_rows(x.rows, [&](std::size_t r) {
    for (std::size_t h = 0; h < shape.heads; ++h)
      std::copy_n(attended.row(r) + h * wide, dim, narrow.row(r) + h * dim);
  });
  output_.forward(narrow, y);
}

}  // namespace mmbatch
