#include "fusion/ops/query_encoder.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace mmbatch {

QueryEncoder::QueryEncoder(const Weights& weights, const QueryEncoderOp& op)
    : layers_(weights, op.layers),
      norm_(weights, op.norm, op.layers.layer.attention.hidden, op.layers.layer.norm),
      frequencies_(rope_frequencies({.theta = op.theta}, op.layers.layer.attention.shape.head_dim)) {
  for (const QueryEncoderOp::Queries& one : op.queries) {
    const std::size_t hidden = op.layers.layer.attention.hidden;
    const std::vector<float> stored = to_floats(weights.tensor(one.name + ".weight", {one.rows, hidden}));
    queries_.emplace_back(one.rows, hidden);
    std::copy(stored.begin(), stored.end(), queries_.back().data());
  }
}

std::size_t QueryEncoder::bytes() const {
  std::size_t total = layers_.bytes();
  for (const Matrix<float>& one : queries_) total += one.bytes();
  return total;
}

Matrix<float> QueryEncoder::forward(MatrixView<const float> rows, std::span<const std::size_t> grids,
                                    Scratch& scratch) const {
  const std::size_t bytes = rows.cols * sizeof(float);
  std::vector<std::size_t> sequences;
  std::vector<RopePosition> positions;
  for (const std::size_t count : grids) {
    sequences.push_back(2 * count);
    for (std::size_t i = 0; i < 2 * count; ++i) positions.emplace_back(i);
  }
  Matrix<float> x(positions.size(), rows.cols);
  std::size_t first = 0;
  for (const std::size_t count : grids) {
    const auto queries = std::find_if(queries_.begin(), queries_.end(),
                                      [&](const Matrix<float>& one) { return one.rows() == count; });
    assert(queries != queries_.end());
    std::memcpy(x.row(2 * first), rows.row(first), count * bytes);
    std::memcpy(x.row(2 * first + count), queries->data(), count * bytes);
    first += count;
  }
  const RopeAngles rope = rope_angles(frequencies_, positions);
  layers_.forward(x.view(), {.sequences = sequences, .prefixes = grids, .rope = &rope}, scratch);
  Matrix<float> out(rows.rows, rows.cols);
  first = 0;
  for (const std::size_t count : grids) {
    for (std::size_t i = 0; i < count; ++i) norm_.row(x.row(2 * first + count + i), out.row(first + i));
    first += count;
  }
  return out;
}

std::vector<std::size_t> rows_of_grids(std::span<const FeatureMap> images) {
  std::vector<std::size_t> rows;
  for (const FeatureMap& map : images) {
    const std::size_t whole = map.whole.count(), of_a_tile = map.grid.count();
    rows.insert(rows.end(), (map.rows - whole) / of_a_tile, of_a_tile);
    if (whole > 0) rows.push_back(whole);
  }
  return rows;
}

}  // namespace mmbatch
