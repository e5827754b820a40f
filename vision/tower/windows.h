#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "vision/preprocess/patches.h"
#include "vision/tower/positions.h"

namespace mmbatch {

/// Layers that see only a square window of the image's blocks of patches.
struct WindowAttention {
  std::size_t side = 1;                   // of a window, in blocks
  std::vector<std::size_t> whole_layers;  // that see the whole image all the same
};

/// The rows of several images, window by window.
struct WindowOrder {
  std::vector<std::size_t> rows;     // by place in the new order: where the row was
  std::vector<std::size_t> windows;  // rows of each window
};

/// Windows are cut from the top left of each image, ragged at its right and bottom, and follow each other row
/// by row, as blocks do in each; the patches of a block stay together.
WindowOrder window_order(const WindowAttention& attention, std::span<const Patches* const> images,
                         PatchOrder order);

}  // namespace mmbatch
