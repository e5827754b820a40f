#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "engine/base/config.h"
#include "vision/preprocess/resize.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// The grid of `least` to `most` tiles whose aspect is nearest to the picture's (arXiv 2404.16821).
struct NearestAspectGrid {
  int tile = 0;  // side of a tile, in pixels
  int least = 1;
  int most = 12;
};

/// The picture resized to a longest edge, then to whole tiles (arXiv 2408.12637).
struct LongestEdgeGrid {
  /// Whether the picture is cut, or only ever seen as a whole.
  enum class Splitting { tiles, whole };
  int tile = 0;
  int longest_edge = 0;
  Splitting splitting = Splitting::tiles;
};

/// Which grid of tiles a picture is cut into.
using GridRule = std::variant<NearestAspectGrid, LongestEdgeGrid>;

/// What is done to a picture.
struct GridPlan {
  std::vector<ResizedSize> sizes;  // it is resized to, one after another; then it is cut into the grid
  TileGrid grid;                   // 0 x 0: it is not cut, but resized to one tile
};

/// @param width @param height of the picture, in pixels
GridPlan plan_grid(const GridRule& rule, int width, int height);

/// How many tiles a picture may become, itself as a whole included.
struct TileBudget {
  std::size_t least = 1;
  std::size_t most = SIZE_MAX;
};

/// The rule, changed as little as it must be so that every picture keeps to a budget; none: that cannot be.
std::optional<GridRule> within(const GridRule& rule, const TileBudget& budget);

/// The side of a tile.
int tile_size(const GridRule& rule);
/// Tiles that any picture becomes at most, itself as a whole included.
std::size_t most_tiles(const GridRule& rule);

}  // namespace mmbatch
