#pragma once

#include <cstddef>
#include <string_view>

#include "engine/base/matrix.h"

namespace mmbatch {

/// One way to compute a tile of y = x · Wᵀ on one thread. A kernel is one file and one line in the table of
/// matmul.cpp.
struct MatmulKernel {
  /// One tile's product: x [rows, in] times the packed columns, to y [rows, columns], both without gaps
  /// between rows: for matrices with gaps oneDNN 2.6 has nothing but plain loops.
  struct Tile {
    const float* x;
    float* y;
    std::size_t rows;
    std::size_t in;
    std::size_t columns;
    const float* packed;
  };

  std::string_view name;
  /// True when the library has a routine for this machine whose rows do not depend on each other.
  bool (*usable)();
  /// Floats that the packed form of [columns, in] takes.
  std::size_t (*packed_floats)(std::size_t in, std::size_t columns);
  /// @param weights [columns, in], row-major
  void (*pack)(const float* weights, std::size_t in, std::size_t columns, float* packed);
  void (*multiply)(const Tile& tile);
};

/// oneDNN's packed products, where it has its `brg` kernels.
extern const MatmulKernel kOneDnnMatmul;
/// OpenBLAS, always called with the same number of rows.
extern const MatmulKernel kOpenBlasMatmul;

/// True when the kernel gives a row the same bits for every number of rows and every place in the tile: tried
/// out on small matrices of odd sizes.
bool rows_are_independent(const MatmulKernel& kernel);

}  // namespace mmbatch
