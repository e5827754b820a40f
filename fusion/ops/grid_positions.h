#pragma once

#include <vector>

#include "engine/base/matrix.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// Learned positions of a grid's rows, with their weights: see GridPositionsOp.
class GridPositions {
 public:
  /// @param columns [side, width - width / 2]   @param rows [side, width / 2]
  GridPositions(std::vector<float> columns, std::vector<float> rows, std::size_t width);

  /// out = x + positions.  @param x [map.rows, width], row by row of map.grid, which has at most `side` of
  /// them
  void add(MatrixView<const float> x, const FeatureMap& map, MatrixView<float> out) const;

 private:
  std::vector<float> columns_, rows_;
  std::size_t width_;
};

/// @param x [rows, width]   @param out [1 + rows, width]: the mean of the rows, and they
void put_mean_first(MatrixView<const float> x, MatrixView<float> out);

}  // namespace mmbatch
