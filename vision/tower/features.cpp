#include "vision/tower/features.h"

#include <cstring>

namespace mmbatch {

std::vector<Features> split_rows(MatrixView<const float> rows, std::span<const FeatureMap> maps) {
  std::vector<Features> parts;
  std::size_t first = 0;
  for (const FeatureMap& map : maps) {
    auto part = std::make_shared<FeatureRows>(map, rows.cols);
    for (std::size_t r = 0; r < map.rows; ++r)
      std::memcpy(part->row(r), rows.row(first + r), rows.cols * sizeof(float));
    parts.push_back(std::move(part));
    first += map.rows;
  }
  return parts;
}

}  // namespace mmbatch
