#pragma once

#include <stdexcept>

#include "engine/base/matrix.h"
#include "engine/parallel/message.h"

namespace mmbatch {

/// Puts a matrix's shape and rows into a message.
inline void put_matrix(MessageWriter& message, MatrixView<const float> x) {
  message.put(x.rows);
  message.put(x.cols);
  for (std::size_t r = 0; r < x.rows; ++r) message.put_all(x.row(r), x.cols);
}

/// @throws std::length_error for a message that ends too early
inline Matrix<float> take_matrix(MessageReader& message) {
  const auto rows = message.take<std::size_t>(), cols = message.take<std::size_t>();
  Matrix<float> x(rows, cols);
  message.take_all(x.data(), rows * cols);
  return x;
}

}  // namespace mmbatch
