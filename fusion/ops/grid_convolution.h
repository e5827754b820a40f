#pragma once

#include "engine/nn/linear.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// A convolution over each grid of rows, without a bias, whose kernel is stored [out, in, side, side].
struct GridConvolutionOp {
  std::string name;  // without ".weight"
  std::size_t side = 3;
  std::size_t stride = 1;
  std::size_t padding = 1;  // of zeros around each grid
  std::size_t out = 0;

  PatchGrid grid_after(const PatchGrid& grid) const {
    if (grid.count() == 0) return {};
    const auto after = [&](std::size_t count) { return (count + 2 * padding - side) / stride + 1; };
    return {after(grid.rows), after(grid.columns)};
  }
};

class GridConvolution {
 public:
  /// @throws ModelError
  GridConvolution(const Weights& weights, const GridConvolutionOp& op, std::size_t in);

  /// @param rows [map.rows, in], grid by grid   @param out [rows of map_after(), op.out]
  void forward(MatrixView<const float> rows, const FeatureMap& map, MatrixView<float> out) const;
  /// How rows lie after it.
  static FeatureMap map_after(const GridConvolutionOp& op, FeatureMap map);
  const GridConvolutionOp& op() const { return op_; }
  std::size_t bytes() const { return layer_.bytes(); }

 private:
  GridConvolutionOp op_;
  Linear layer_;  // over what lies below the kernel: [out, in · side²]
};

}  // namespace mmbatch
