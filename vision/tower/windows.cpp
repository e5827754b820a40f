#include "vision/tower/windows.h"

#include <algorithm>

namespace mmbatch {
namespace {

void add_image(const WindowAttention& attention, const PatchGrid& grid, PatchOrder order, WindowOrder& out) {
  const std::size_t in_block = order.merge * order.merge, before = out.rows.size();
  const std::size_t rows = grid.rows / order.merge, columns = grid.columns / order.merge;
  for (std::size_t top = 0; top < rows; top += attention.side) {
    for (std::size_t left = 0; left < columns; left += attention.side) {
      const std::size_t bottom = std::min(top + attention.side, rows);
      const std::size_t right = std::min(left + attention.side, columns);
      for (std::size_t y = top; y < bottom; ++y) {
        for (std::size_t x = left; x < right; ++x) {
          for (std::size_t i = 0; i < in_block; ++i)
            out.rows.push_back(before + (y * columns + x) * in_block + i);
        }
      }
      out.windows.push_back((bottom - top) * (right - left) * in_block);
    }
  }
}

}  // namespace

WindowOrder window_order(const WindowAttention& attention, std::span<const Patches* const> images,
                         PatchOrder order) {
  WindowOrder out;
  for (const Patches* image : images) add_image(attention, image->grid, order, out);
  return out;
}

}  // namespace mmbatch
