#pragma once

#include <cstddef>

#include "engine/base/matrix.h"

namespace mmbatch {

/// Rows and columns of the patches of an image, or of the features that they become.
struct PatchGrid {
  std::size_t rows = 0;
  std::size_t columns = 0;

  std::size_t count() const { return rows * columns; }
  bool operator==(const PatchGrid&) const = default;
};

/// An image, or a tile of one, as a vision tower takes it: squares of pixel values. Images may have different
/// numbers of them.
struct Patches {
  Matrix<float> values;  // [grid.count(), channels · side²], row by row; in a patch by channel, then by row
  PatchGrid grid;
};

/// Cuts pixel values into patches of side · side pixels. What does not fill a patch at the right and at the
/// bottom falls away, as a convolution with that stride drops it.
/// @param pixels [channels, height · width]
Patches cut_into_patches(MatrixView<const float> pixels, std::size_t width, std::size_t side);

}  // namespace mmbatch
