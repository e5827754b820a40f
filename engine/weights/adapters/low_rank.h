#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/weights/tensor.h"

namespace mmbatch {

/// What low-rank adaptation adds to a weight W [rows, cols] (LoRA, arXiv 2106.09685): scale · B A.
struct LowRank {
  std::size_t rank = 0;
  std::vector<float> a;  // [rank, cols]
  std::vector<float> b;  // [rows, rank]
  float scale = 1.0f;
  /// Lengths that the rows are brought to afterwards (DoRA, arXiv 2402.09353), [rows]; empty: none.
  std::vector<float> magnitude = {};
};

/// The sum, computed in float32 when it is read; its elements have the same bits whatever the range.
TensorView adapted(const TensorView& weight, LowRank change);

}  // namespace mmbatch
