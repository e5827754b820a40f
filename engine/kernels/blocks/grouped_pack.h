#pragma once

#include <cstddef>

#include "engine/weights/groups/grouping.h"

namespace mmbatch {

struct TileShape {
  std::size_t in, columns;
};

/// Floats [columns, in] rounded to a grouping, as a tile.
void pack_rounded(const Grouping& grouping, const float* weights, const TileShape& shape, std::byte* packed);

}  // namespace mmbatch
