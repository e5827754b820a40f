#include "fusion/ops/tile_joining.h"

#include <cstring>

namespace mmbatch {
namespace {

/// Rows and columns of the map that show the picture and not its padding.
struct Window {
  std::size_t top, rows, left, columns;
};

/// Of the features of all tiles but the first, as one map.
PatchGrid whole_grid(const FeatureMap& image) {
  return {static_cast<std::size_t>(image.tiles.rows) * image.grid.rows,
          static_cast<std::size_t>(image.tiles.columns) * image.grid.columns};
}

Window unpadded(const FeatureMap& image) {
  const auto [rows, columns] = whole_grid(image);
  const auto w = static_cast<std::size_t>(image.width), h = static_cast<std::size_t>(image.height);
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

std::size_t joined_rows(const FeatureMap& image) {
  const Window window = unpadded(image);
  return image.grid.count() + window.rows * (window.columns + 1);
}

void join_tiles(MatrixView<const float> features, const FeatureMap& image, std::span<const float> newline,
                MatrixView<float> out) {
  const PatchGrid& grid = image.grid;
  const auto tile_columns = static_cast<std::size_t>(image.tiles.columns);
  const Window window = unpadded(image);
  const std::size_t bytes = out.cols * sizeof(float);
  std::size_t next = 0;
  for (; next < grid.count(); ++next) std::memcpy(out.row(next), features.row(next), bytes);
  for (std::size_t y = window.top; y < window.top + window.rows; ++y) {
    for (std::size_t x = window.left; x < window.left + window.columns; ++x) {
      const std::size_t tile = 1 + y / grid.rows * tile_columns + x / grid.columns;
      const std::size_t place = y % grid.rows * grid.columns + x % grid.columns;
      std::memcpy(out.row(next++), features.row(tile * grid.count() + place), bytes);
    }
    std::memcpy(out.row(next++), newline.data(), bytes);
  }
}

}  // namespace mmbatch
