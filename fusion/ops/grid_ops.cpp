#include "fusion/ops/grid_ops.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// The squares of all grids of an image, one after another.
class Squares {
 public:
  Squares(const FeatureMap& map, std::size_t side)
      : map_(map), side_(side), in_tiles_((map.rows - map.whole.count()) / (side * side)) {
    assert((map.rows - map.whole.count()) % map.grid.count() == 0);
  }

  /// The row of the neighbour (y, x) of a square.
  std::size_t row(std::size_t square, std::size_t y, std::size_t x) const {
    const bool of_whole = square >= in_tiles_;
    const PatchGrid& grid = of_whole ? map_.whole : map_.grid;
    const std::size_t first = of_whole ? map_.rows - grid.count() : 0;
    const std::size_t number = of_whole ? square - in_tiles_ : square;
    const std::size_t across = grid.columns / side_, of_a_grid = grid.rows / side_ * across;
    const std::size_t in_grid = number % of_a_grid;
    return first + number / of_a_grid * grid.count() + (in_grid / across * side_ + y) * grid.columns +
           in_grid % across * side_ + x;
  }

 private:
  const FeatureMap& map_;
  std::size_t side_;
  std::size_t in_tiles_;  // squares of grids like map.grid; those of map.whole follow
};

}  // namespace

FeatureMap map_of_squares(FeatureMap map, std::size_t side) {
  map.rows /= side * side;
  map.grid = {map.grid.rows / side, map.grid.columns / side};
  map.whole = {map.whole.rows / side, map.whole.columns / side};
  return map;
}

void average_pool(MatrixView<const float> rows, const FeatureMap& map, std::size_t side,
                  MatrixView<float> out) {
  const Squares squares(map, side);
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
  const Squares squares(map, side);
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
