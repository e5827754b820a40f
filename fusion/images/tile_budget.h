#pragma once

#include <cstddef>

#include "engine/base/image/image_budget.h"
#include "vision/preprocess/grid/grid_tiler.h"

namespace mmbatch {

/// Images in whole tiles keep to a budget by the number of their tiles.
/// @param rows of each tile
/// @throws ItemError invalid_value for a budget that no grid keeps to; the message says what is possible
GridRule rule_of(const GridTiler& tiler, std::size_t rows, const ImageBudget& budget);

}  // namespace mmbatch
