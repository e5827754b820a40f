#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/matrix.h"

namespace mmbatch {

/// Features of one image, shared by all who need them: as many rows as the image has, [rows, width].
using Features = std::shared_ptr<const Matrix<float>>;

/// Copies the rows of several images, one after another, into a matrix for each.  @param counts rows of each
std::vector<Features> split_rows(MatrixView<const float> rows, std::span<const std::size_t> counts);

}  // namespace mmbatch
