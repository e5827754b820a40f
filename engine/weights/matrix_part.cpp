#include "engine/weights/matrix_part.h"

#include <cassert>
#include <vector>

namespace mmbatch {

void copy_rows(const MatrixPart& part, std::size_t begin, std::size_t count, float* out) {
  assert(begin + count <= part.rows);
  if (count == 0) return;
  const std::size_t first = part.first + begin * part.row_step;
  if (part.column_step == 1 && part.row_step == part.cols)
    return copy_as_float(part.tensor, first, count * part.cols, out);
  if (part.column_step == 1) {
    for (std::size_t r = 0; r < count; ++r)
      copy_as_float(part.tensor, first + r * part.row_step, part.cols, out + r * part.cols);
    return;
  }
  // Transposed: what is near each other in the tensor is read together.
  std::vector<float> column((count - 1) * part.row_step + 1);
  for (std::size_t c = 0; c < part.cols; ++c) {
    copy_as_float(part.tensor, first + c * part.column_step, column.size(), column.data());
    for (std::size_t r = 0; r < count; ++r) out[r * part.cols + c] = column[r * part.row_step];
  }
}

}  // namespace mmbatch
