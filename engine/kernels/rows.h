#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/base/threads.h"

namespace mmbatch {

/// Calls body(row) for every row, several rows to a tile: so few that steps of a dozen sequences keep more
/// than one thread busy, and more where every thread has tiles enough. For cheap work on rows that are
/// independent.
template <class Body>
void parallel_rows(std::size_t rows, Body&& body) {
  constexpr std::size_t kLeast = 4, kMost = 16, kTilesOfThread = 4;
  const std::size_t of_tile = std::clamp(rows / (kTilesOfThread * threads_of_arena()), kLeast, kMost);
  parallel_tiles((rows + of_tile - 1) / of_tile, [&](std::size_t tile) {
    for (std::size_t r = tile * of_tile; r < std::min(rows, (tile + 1) * of_tile); ++r) body(r);
  });
}

}  // namespace mmbatch
