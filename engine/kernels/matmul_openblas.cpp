#include <cblas.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/matmul_kernel.h"

namespace mmbatch {
namespace {

/// OpenBLAS picks its inner loops by the number of rows, so it always gets this many; missing ones are zeros.
constexpr std::size_t kRows = 16;

bool openblas_usable() {
  openblas_set_num_threads(1);
  return true;
}

std::size_t openblas_packed_bytes(std::size_t in, std::size_t columns) {
  return in * columns * sizeof(float);
}

void openblas_pack(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  std::memcpy(packed, weights, in * columns * sizeof(float));
}

void openblas_multiply(const MatmulKernel::Tile& tile) {
  thread_local Matrix<float> x, y;
  if (x.cols() != tile.in) x = Matrix<float>::zeros(kRows, tile.in);
  if (y.cols() != tile.columns) y = Matrix<float>::zeros(kRows, tile.columns);
  for (std::size_t first = 0; first < tile.rows; first += kRows) {
    const std::size_t rows = std::min(kRows, tile.rows - first);
    for (std::size_t r = 0; r < kRows; ++r) {
      if (r < rows)
        std::memcpy(x.row(r), tile.x + (first + r) * tile.in * sizeof(float), tile.in * sizeof(float));
      else
        std::memset(x.row(r), 0, tile.in * sizeof(float));
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, kRows, static_cast<blasint>(tile.columns),
                static_cast<blasint>(tile.in), 1.0f, x.data(), static_cast<blasint>(tile.in),
                reinterpret_cast<const float*>(tile.packed), static_cast<blasint>(tile.in), 0.0f, y.data(),
                static_cast<blasint>(tile.columns));
    for (std::size_t r = 0; r < rows; ++r) {
      std::memcpy(tile.y + (first + r) * tile.columns, y.row(r), tile.columns * sizeof(float));
    }
  }
}

}  // namespace

const MatmulKernel kOpenBlasMatmul = {
    "openblas",      Precision::f32, openblas_usable,  256, openblas_packed_bytes, openblas_pack,
    float_row_bytes, nullptr,        openblas_multiply};

}  // namespace mmbatch
