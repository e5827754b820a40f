#include "fusion/ops/grid_ops.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// The squares of all grids of an image, one after another.
struct Squares {
  const FeatureMap& map;
  std::size_t side;

  /// The row of the neighbour (y, x) of a square.
  std::size_t row(std::size_t square, std::size_t y, std::size_t x) const {
    const PatchGrid& grid = map.grid;
    const std::size_t across = grid.columns / side, of_a_grid = grid.rows / side * across;
    const std::size_t in_grid = square % of_a_grid;
    return square / of_a_grid * grid.count() + (in_grid / across * side + y) * grid.columns +
           in_grid % across * side + x;
  }
};

}  // namespace

FeatureMap map_of_squares(FeatureMap map, std::size_t side) {
  map.rows /= side * side;
  map.grid = {map.grid.rows / side, map.grid.columns / side};
  return map;
}

void average_pool(MatrixView<const float> rows, const FeatureMap& map, std::size_t side,
                  MatrixView<float> out) {
  assert(map.rows % map.grid.count() == 0);
  const Squares squares{map, side};
  const float count = static_cast<float>(side * side);
  parallel_rows(out.rows, [&](std::size_t r) {
    float* to = out.row(r);
    std::fill_n(to, out.cols, 0.0f);
    for (std::size_t i = 0; i < side * side; ++i) {
      const float* from = rows.row(squares.row(r, i / side, i % side));
      for (std::size_t c = 0; c < out.cols; ++c) to[c] += from[c];
    }
    for (std::size_t c = 0; c < out.cols; ++c) to[c] /= count;
  });
}

void pixel_shuffle(MatrixView<const float> rows, const FeatureMap& map, std::size_t side, ShuffleOrder order,
                   MatrixView<float> out) {
  assert(map.rows % map.grid.count() == 0);
  const Squares squares{map, side};
  const std::size_t width = rows.cols, places = side * side;
  parallel_rows(out.rows, [&](std::size_t r) {
    float* to = out.row(r);
    for (std::size_t i = 0; i < places; ++i) {
      const float* from = rows.row(squares.row(r, i / side, i % side));
      if (order == ShuffleOrder::places) {
        std::memcpy(to + i * width, from, width * sizeof(float));
        continue;
      }
      for (std::size_t c = 0; c < width; ++c) to[c * places + i] = from[c];
    }
  });
}

}  // namespace mmbatch
