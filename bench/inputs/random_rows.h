#pragma once

#include <cstddef>

#include "engine/base/matrix.h"

namespace mmbatch::bench {

/// Normally distributed, always the same.
Matrix<float> random_rows(std::size_t rows, std::size_t cols);

}  // namespace mmbatch::bench
