#include "fusion/ops/grid_convolution.h"

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

PackedMatrix load(const Weights& weights, const GridConvolutionOp& op, std::size_t in) {
  const std::string name = op.name + ".weight";
  const std::vector<std::size_t> flat = {op.out, in * op.side * op.side};
  if (weights.source.tensor(name).packed) return PackedMatrix({weights.pack(weights.tensor(name, flat))});
  TensorView kernel = weights.tensor(name, {op.out, in, op.side, op.side});
  kernel.shape = flat;
  return PackedMatrix({weights.pack(kernel)});
}

}  // namespace

GridConvolution::GridConvolution(const Weights& weights, const GridConvolutionOp& op, std::size_t in)
    : op_(op), layer_(load(weights, op, in)) {}

FeatureMap GridConvolution::map_after(const GridConvolutionOp& op, FeatureMap map) {
  const std::size_t tiles = (map.rows - map.whole.count()) / map.grid.count();
  map.grid = op.grid_after(map.grid);
  map.whole = op.grid_after(map.whole);
  map.rows = tiles * map.grid.count() + map.whole.count();
  return map;
}

void GridConvolution::forward(MatrixView<const float> rows, const FeatureMap& map,
                              MatrixView<float> out) const {
  const std::size_t side = op_.side, places = side * side;
  auto below = Matrix<float>::zeros(out.rows, rows.cols * places);
  std::size_t first = 0, next = 0;
  const auto gather = [&](const PatchGrid& grid) {
    const PatchGrid after = op_.grid_after(grid);
    parallel_rows(after.count(), [&](std::size_t r) {
      float* to = below.row(next + r);
      for (std::size_t i = 0; i < places; ++i) {
        const std::size_t row = r / after.columns * op_.stride + i / side;
        const std::size_t column = r % after.columns * op_.stride + i % side;
        if (row < op_.padding || row - op_.padding >= grid.rows || column < op_.padding ||
            column - op_.padding >= grid.columns)
          continue;
        const float* from = rows.row(first + (row - op_.padding) * grid.columns + column - op_.padding);
        for (std::size_t c = 0; c < rows.cols; ++c) to[c * places + i] = from[c];
      }
    });
    first += grid.count();
    next += after.count();
  };
  const std::size_t tiles = (map.rows - map.whole.count()) / map.grid.count();
  for (std::size_t tile = 0; tile < tiles; ++tile) gather(map.grid);
  if (map.whole.count() > 0) gather(map.whole);
  layer_.forward(below.view(), out);
}

}  // namespace mmbatch
