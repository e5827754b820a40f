#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/matrix.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// How the feature rows of one image lie: one grid, or, of a picture seen in tiles, that of each tile one
/// after another.
struct FeatureMap {
  std::size_t rows = 0;  // of all tiles
  PatchGrid grid = {};   // of the image, or of each tile; rows that lie in no grid may come before it
  TileGrid tiles = {};   // 0 x 0: the image is not in tiles
  PatchGrid whole = {};  // of the whole picture behind its tiles; 0 x 0: as that of a tile
  int width = 0;         // of the picture, in pixels
  int height = 0;

  /// Of the image where it is not in tiles, else of the whole behind them.
  PatchGrid whole_grid() const { return whole.count() > 0 ? whole : grid; }
};

/// Rows of one image, [map.rows, width], and how they lie in it.
struct FeatureRows : Matrix<float> {
  FeatureRows(FeatureMap map_, std::size_t width) : Matrix(map_.rows, width), map(map_) {}
  FeatureMap map;
};

/// Features of one image, shared by all who need them.
using Features = std::shared_ptr<const FeatureRows>;

/// Copies the rows of several images, one after another, into a matrix for each.  @param maps of each
std::vector<Features> split_rows(MatrixView<const float> rows, std::span<const FeatureMap> maps);

}  // namespace mmbatch
