#include "fusion/tiled_features.h"

#include <cstring>

namespace mmbatch {
namespace {

/// Rows and columns of the map that show the picture and not its padding.
struct Window {
  std::size_t top, rows, left, columns;
};

Window unpadded(std::size_t rows, std::size_t columns, int width, int height) {
  const auto w = static_cast<std::size_t>(width), h = static_cast<std::size_t>(height);
  if (static_cast<double>(w) / static_cast<double>(h) >
      static_cast<double>(columns) / static_cast<double>(rows)) {
    const std::size_t kept = h * columns / w;
    const std::size_t cut = (rows - kept) / 2;
    return {cut, rows - 2 * cut, 0, columns};
  }
  const std::size_t kept = w * rows / h;
  const std::size_t cut = (columns - kept) / 2;
  return {0, rows, cut, columns - 2 * cut};
}

}  // namespace

Matrix<float> join_tiles(MatrixView<const float> features, std::size_t side, const TileGrid& grid, int width,
                         int height, std::span<const float> newline) {
  const std::size_t hidden = features.cols, tile_tokens = side * side;
  const auto tile_columns = static_cast<std::size_t>(grid.columns);
  const std::size_t rows = static_cast<std::size_t>(grid.rows) * side, columns = tile_columns * side;
  const Window window = unpadded(rows, columns, width, height);
  Matrix<float> joined(tile_tokens + window.rows * (window.columns + 1), hidden);
  const std::size_t bytes = hidden * sizeof(float);
  std::size_t out = 0;
  for (; out < tile_tokens; ++out) std::memcpy(joined.row(out), features.row(out), bytes);
  for (std::size_t y = window.top; y < window.top + window.rows; ++y) {
    for (std::size_t x = window.left; x < window.left + window.columns; ++x) {
      const std::size_t tile = 1 + y / side * tile_columns + x / side;
      std::memcpy(joined.row(out++), features.row(tile * tile_tokens + y % side * side + x % side), bytes);
    }
    std::memcpy(joined.row(out++), newline.data(), bytes);
  }
  return joined;
}

}  // namespace mmbatch
