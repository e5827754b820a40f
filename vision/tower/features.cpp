#include "vision/tower/features.h"

#include <cstring>

namespace mmbatch {

std::vector<Features> split_rows(MatrixView<const float> rows, std::span<const std::size_t> counts) {
  std::vector<Features> parts;
  std::size_t first = 0;
  for (const std::size_t count : counts) {
    auto part = std::make_shared<Matrix<float>>(count, rows.cols);
    for (std::size_t r = 0; r < count; ++r)
      std::memcpy(part->row(r), rows.row(first + r), rows.cols * sizeof(float));
    parts.push_back(std::move(part));
    first += count;
  }
  return parts;
}

}  // namespace mmbatch
