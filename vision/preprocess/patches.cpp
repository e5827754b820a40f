#include "vision/preprocess/patches.h"

#include <cstring>

namespace mmbatch {

Patches cut_into_patches(MatrixView<const float> pixels, std::size_t width, std::size_t side) {
  Patches patches;
  patches.grid = {pixels.cols / width / side, width / side};
  patches.values = Matrix<float>(patches.grid.count(), pixels.rows * side * side);
  for (std::size_t p = 0; p < patches.grid.count(); ++p) {
    const std::size_t top = p / patches.grid.columns * side, left = p % patches.grid.columns * side;
    float* to = patches.values.row(p);
    for (std::size_t channel = 0; channel < pixels.rows; ++channel) {
      for (std::size_t y = 0; y < side; ++y, to += side)
        std::memcpy(to, pixels.row(channel) + (top + y) * width + left, side * sizeof(float));
    }
  }
  return patches;
}

}  // namespace mmbatch
