#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/base/threads.h"

namespace mmbatch {

/// Calls body(row) for every row, several rows to a tile. For cheap work on rows that are independent.
template <class Body>
void parallel_rows(std::size_t rows, Body&& body) {
  constexpr std::size_t kRows = 16;
  parallel_tiles((rows + kRows - 1) / kRows, [&](std::size_t tile) {
    for (std::size_t r = tile * kRows; r < std::min(rows, (tile + 1) * kRows); ++r) body(r);
  });
}

}  // namespace mmbatch
