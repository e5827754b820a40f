#pragma once

#include <span>
#include <vector>

#include "vision/preprocess/resize.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// Grids of `least` to `most` tiles, fewer tiles first; of equally many those with fewer columns first.
std::vector<TileGrid> grids_by_columns(int least, int most);

/// The same, of equally many tiles in the order in which CPython (3.8 and later) walks a set of the pairs
/// (columns, rows): published image processors sort such a set by tiles alone, and of two grids that are
/// equally near to an aspect the order decides.
std::vector<TileGrid> grids_by_set(int least, int most);

/// The grid whose aspect is nearest to the picture's (arXiv 2404.16821); of equally near ones the last whose
/// tiles the picture would fill by half, else the first.
/// @param tile side of a tile, in pixels
TileGrid nearest_aspect(const ResizedSize& picture, int tile, std::span<const TileGrid> grids);

}  // namespace mmbatch
