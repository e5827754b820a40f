#pragma once

#include <cstddef>
#include <string_view>

#include "engine/base/matrix.h"
#include "engine/kernels/panel.h"
#include "engine/weights/groups/grouping.h"
#include "engine/weights/precision.h"

namespace mmbatch {

/// One way to compute a tile of y = x · Wᵀ on one thread, in one format of weights. A kernel is one file and
/// one line in the table of matmul.cpp.
struct MatmulKernel {
  /// One tile's product: rows of x, in the kernel's own form and without gaps, times packed columns.
  struct Tile {
    const std::byte* x;
    float* y;  // [rows, columns], without gaps; panels: [rows, Panel::kColumns]
    std::size_t rows;
    std::size_t in;
    std::size_t columns;
    const std::byte* packed;
    const std::byte* next = nullptr;  // what is multiplied next, where that is known
    /// Panels alone: where the product goes; null: it stays in y.
    const ProductTarget* target = nullptr;
  };

  std::string_view name;
  Precision precision;
  /// True when the routine runs on this machine and its rows do not depend on each other.
  bool (*usable)();
  /// Columns of a tile, of whose product the rows lie `columns` apart; the last tile may have fewer.
  std::size_t tile_columns;
  /// Bytes that the packed form of [columns, in] takes.
  std::size_t (*packed_bytes)(std::size_t in, std::size_t columns);
  /// @param weights [columns, in], row-major
  void (*pack)(const float* weights, std::size_t in, std::size_t columns, std::byte* packed);
  /// Bytes of a row of x in the kernel's form.
  std::size_t (*row_bytes)(std::size_t in);
  /// Brings a row into that form; null where that is the floats as they are.
  void (*prepare)(const float* x, std::size_t in, std::byte* row);
  void (*multiply)(const Tile& tile);
  /// Of Precision::stored: the small numbers that it takes.
  const Grouping* grouping = nullptr;

  /// Whether both take rows of x in the same form.
  bool takes_rows_of(const MatmulKernel& other) const {
    return prepare == other.prepare && row_bytes == other.row_bytes && tile_columns == other.tile_columns;
  }
};

/// MatmulKernel::row_bytes of the kernels that take floats.
inline std::size_t float_row_bytes(std::size_t in) {
  return in * sizeof(float);
}

/// oneDNN's packed float32 products, where it has its `brg` kernels, which are AVX-512's.
extern const MatmulKernel kOneDnnMatmul;
/// OpenBLAS in float32, always called with the same number of rows.
extern const MatmulKernel kOpenBlasMatmul;
/// Own kernels over panels, see panel.h.
extern const MatmulKernel kF32Matmul;
extern const MatmulKernel kBf16Matmul;
extern const MatmulKernel kInt16Matmul;
extern const MatmulKernel kInt8Matmul;
extern const MatmulKernel kW8a16Matmul;
extern const MatmulKernel kInt4Matmul;
extern const MatmulKernel kW4a16Matmul;

/// True when the kernel gives a row the same bits for every number of rows and every place in the tile: tried
/// out on small matrices of odd sizes.
bool rows_are_independent(const MatmulKernel& kernel);

}  // namespace mmbatch
