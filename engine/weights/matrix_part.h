#pragma once

#include <cstddef>
#include <string>

#include "engine/weights/tensor.h"

namespace mmbatch {

/// A matrix inside a stored tensor: all of it, one expert's part, every other row, or its transpose. Element
/// [r, c] is element first + r · row_step + c · column_step of the tensor.
struct MatrixPart {
  // NOLINTNEXTLINE(runtime/explicit): a stored tensor is a part of itself, seen as [rows, cols]
  MatrixPart(const TensorView& whole)
      : tensor(whole), name(whole.name), rows(whole.rows()), cols(whole.cols()), row_step(cols) {}

  TensorView tensor;
  std::string name;  // its own: what it is called in a packed folder
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t first = 0;
  std::size_t row_step = 0;
  std::size_t column_step = 1;
};

/// Writes rows [begin, begin + count) as float32, [count, cols].  @throws ModelError for a packed tensor
void copy_rows(const MatrixPart& part, std::size_t begin, std::size_t count, float* out);

}  // namespace mmbatch
