#include "engine/kernels/product/tile_product.h"

#include <cstring>

#include "engine/kernels/panel.h"
#include "engine/kernels/rows.h"

namespace mmbatch {

std::size_t product_stride(const MatmulKernel& kernel, std::size_t columns) {
  return kernel.prepare != nullptr ? Panel::kColumns : columns;
}

void add_bias(MatrixView<float> product, const float* bias) {
  if (bias == nullptr) return;
  for (std::size_t r = 0; r < product.rows; ++r) simd().add(product.row(r), bias, product.cols);
}

void finish_tile(MatrixView<float> y, MatrixView<const float> product, const Epilogue& epilogue,
                 std::size_t first_column) {
  const Finish finish{epilogue.bias != nullptr ? epilogue.bias + first_column : nullptr,
                      epilogue.activation ? &*epilogue.activation : nullptr, epilogue.accumulate};
  const bool done = product.data == y.data && finish.bias == nullptr && finish.activation == nullptr;
  if (!done) simd().finish(finish, {product.data, product.stride, y.data, y.stride, y.rows, y.cols});
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
