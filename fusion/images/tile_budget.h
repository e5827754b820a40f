#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "engine/base/image/image_budget.h"
#include "vision/preprocess/grid/grid_tiler.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// Images in whole tiles keep to a budget by the number of their tiles.
/// @param rows of each tile
/// @throws ItemError invalid_value for a budget that no grid keeps to; the message says what is possible
GridRule rule_of(const GridTiler& tiler, std::size_t rows, const ImageBudget& budget);

/// What an image that is seen whole and in tiles becomes by each of some pinpoints.
struct PinpointRows {
  const Tiler& tiler;
  std::function<std::size_t(const TileGrid&)> rows;  // of a prompt
};

/// Such images keep to a budget by the pinpoints that they may be enlarged to.
/// @throws ItemError invalid_value where none keeps to it; the message says what they would become
std::vector<GridPinpoint> pinpoints_within(const PinpointRows& image, const ImageBudget& budget);

}  // namespace mmbatch
