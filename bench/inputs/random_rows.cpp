#include "bench/inputs/random_rows.h"

#include <algorithm>
#include <random>

namespace mmbatch::bench {

Matrix<float> random_rows(std::size_t rows, std::size_t cols) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  Matrix<float> matrix(rows, cols);
  std::generate_n(matrix.data(), rows * cols, [&] { return normal(random); });
  return matrix;
}

}  // namespace mmbatch::bench
