#include "fusion/ops/grid_positions.h"

#include <cstring>
#include <utility>

namespace mmbatch {

GridPositions::GridPositions(std::vector<float> columns, std::vector<float> rows, std::size_t width)
    : columns_(std::move(columns)), rows_(std::move(rows)), width_(width) {
  // What each vector of sines and cosines begins with, of the first picture: sin 0, cos 0, ….
  const std::size_t of_rows = width_ / 2, of_columns = width_ - of_rows;
  for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i] += i % of_columns % 2 == 1 ? 1.0f : 0.0f;
  for (std::size_t i = 0; i < rows_.size(); ++i)
    rows_[i] += (of_columns + i % of_rows) % 2 == 1 ? 1.0f : 0.0f;
}

void GridPositions::add(MatrixView<const float> x, const FeatureMap& map, MatrixView<float> out) const {
  const std::size_t of_rows = width_ / 2, of_columns = width_ - of_rows;
  for (std::size_t r = 0; r < x.rows; ++r) {
    const float* column = &columns_[r % map.grid.columns * of_columns];
    const float* row = &rows_[r / map.grid.columns * of_rows];
    for (std::size_t i = 0; i < of_columns; ++i) out.row(r)[i] = x.row(r)[i] + column[i];
    for (std::size_t i = 0; i < of_rows; ++i) out.row(r)[of_columns + i] = x.row(r)[of_columns + i] + row[i];
  }
}

void put_mean_first(MatrixView<const float> x, MatrixView<float> out) {
  std::vector<double> sums(x.cols, 0.0);
  for (std::size_t r = 0; r < x.rows; ++r) {
    for (std::size_t i = 0; i < x.cols; ++i) sums[i] += x.row(r)[i];
    std::memcpy(out.row(r + 1), x.row(r), x.cols * sizeof(float));
  }
  for (std::size_t i = 0; i < x.cols; ++i)
    out.row(0)[i] = static_cast<float>(sums[i] / static_cast<double>(x.rows));
}

}  // namespace mmbatch
