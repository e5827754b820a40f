#include "engine/kernels/product/tile_product.h"

#include <cstring>

#include "engine/kernels/rows.h"

namespace mmbatch {

void multiply_tile(const MatmulKernel& kernel, MatmulKernel::Tile tile, const Finish& finish,
                   MatrixView<float> y) {
  if (kernel.prepare != nullptr) {
    const ProductTarget target{finish, y.data, y.stride, y.cols};
    tile.target = &target;
    return kernel.multiply(tile);
  }
  const bool in_place = !finish.accumulate && (y.stride == tile.columns || tile.rows == 1);
  if (in_place) tile.y = y.data;
  kernel.multiply(tile);
  if (!in_place || finish.bias != nullptr || finish.activation != nullptr || finish.factor != nullptr)
    simd().finish(finish, {tile.y, tile.columns, y.data, y.stride, y.rows, y.cols});
}

ProductRows in_order(const ProductRows& rows, std::span<const std::uint32_t> order) {
  if (order.empty()) return rows;
  return {rows.x, [change = rows.change, order](const float* row, float* out) {
            thread_local Matrix<float> memory;
            if (change) {
              float* changed = thread_buffer(memory, order.size());
              change(row, changed);
              row = changed;
            }
            for (std::size_t i = 0; i < order.size(); ++i) out[i] = row[order[i]];
          }};
}

PreparedRows prepare_rows(const MatmulKernel& kernel, const ProductRows& rows) {
  const MatrixView<const float> x = rows.x;
  const std::size_t row_bytes = kernel.row_bytes(x.cols);
  const bool as_they_lie = !rows.change && kernel.prepare == nullptr && (x.stride == x.cols || x.rows == 1);
  if (as_they_lie) return {reinterpret_cast<const std::byte*>(x.data), row_bytes, x.rows};
  thread_local Matrix<std::byte> memory;
  std::byte* out = thread_buffer(memory, x.rows * row_bytes);
  parallel_rows(x.rows, [&](std::size_t r) {
    const float* row = x.row(r);
    std::byte* prepared = out + r * row_bytes;
    if (rows.change) {
      thread_local Matrix<float> buffer;
      float* changed = thread_buffer(buffer, x.cols);
      rows.change(row, changed);
      row = changed;
    }
    if (kernel.prepare != nullptr)
      kernel.prepare(row, x.cols, prepared);
    else
      std::memcpy(prepared, row, row_bytes);
  });
  return {out, row_bytes, x.rows};
}

}  // namespace mmbatch
