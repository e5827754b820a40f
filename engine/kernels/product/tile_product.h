#pragma once

#include <cstddef>

#include "engine/base/matrix.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/matmul_kernel.h"

namespace mmbatch {

// What the products of matmul.cpp and of many weights at once (grouped_product.h) are made of.

/// Rows of x that a tile's product takes at most.
constexpr std::size_t kTileRows = 128;

/// A thread's buffer that is `count` long at least.
template <class T>
T* thread_buffer(Matrix<T>& buffer, std::size_t count) {
  if (buffer.cols() < count) buffer = Matrix<T>(1, count);
  return buffer.data();
}

/// Rows of x in a kernel's form, one after the other.
struct PreparedRows {
  const std::byte* data;
  std::size_t row_bytes;
  std::size_t rows;

  const std::byte* row(std::size_t index) const { return data + index * row_bytes; }
};

/// The same rows with their inputs in another order; an empty one: as they are.
/// @param order [x.cols], which has to outlive what is returned
ProductRows in_order(const ProductRows& rows, std::span<const std::uint32_t> order);

/// What it returns is the calling thread's until its next product.
PreparedRows prepare_rows(const MatmulKernel& kernel, const ProductRows& rows);

/// A tile's product, finished and stored in y: by panels on the way there, by library routines afterwards.
/// @param tile its y is memory for sums, [rows, kernel.tile_columns]  @param finish its bias and factor begin
/// at the tile's first column  @param y [rows, columns]
void multiply_tile(const MatmulKernel& kernel, MatmulKernel::Tile tile, const Finish& finish,
                   MatrixView<float> y);

}  // namespace mmbatch
