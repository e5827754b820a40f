#include "engine/kernels/matmul.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <random>

#include "engine/base/threads.h"
#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/product/tile_product.h"
#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// What of the second-level cache rows may take beside weights; processors whose panels take many rows have
/// two megabytes of it.
std::size_t cached_bytes() {
  return simd().panel_rows > kTileRows ? std::size_t{6} << 18 : std::size_t{5} << 18;
}

/// Rows of a tile: as many as make good use of weights and as the cache holds, about equally many in each,
/// and no more than leave work for every thread.
std::size_t rows_of_tile(const MatmulKernel& kernel, const PreparedRows& x, std::size_t column_tiles) {
  constexpr std::size_t kStep = 32, kTilesOfThread = 4;
  if (kernel.prepare == nullptr || simd().panel_rows <= kTileRows) return kTileRows;
  const std::size_t most = std::clamp(cached_bytes() / x.row_bytes, kTileRows, simd().panel_rows);
  std::size_t parts = std::max<std::size_t>(1, (x.rows + most - 1) / most);
  while (parts * column_tiles < kTilesOfThread * threads_of_arena() && x.rows > parts * kTileRows) ++parts;
  return std::max(kStep, (x.rows + parts * kStep - 1) / (parts * kStep) * kStep);
}

/// Calls body(first_row, rows, tile) for every tile of columns and every tile of rows; neighbours share the
/// tile of columns. More rows than the second-level cache holds beside weights go in several passes.
template <class Body>
void for_each_tile(const MatmulKernel& kernel, const PreparedRows& x, std::size_t column_tiles, Body&& body) {
  const std::size_t most = rows_of_tile(kernel, x, column_tiles);
  const std::size_t row_tiles = (x.rows + most - 1) / most;
  const std::size_t at_once = std::max<std::size_t>(1, cached_bytes() / (most * x.row_bytes));
  parallel_tiles(row_tiles * column_tiles, [&](std::size_t i) {
    const std::size_t pass = i / (at_once * column_tiles), within = i % (at_once * column_tiles);
    const std::size_t tiles = std::min(at_once, row_tiles - pass * at_once);
    const std::size_t first = (pass * at_once + within % tiles) * most;
    body(first, std::min(most, x.rows - first), within / tiles);
  });
}

const float* at_column(const float* bias, std::size_t column) {
  return bias == nullptr ? nullptr : bias + column;
}

}  // namespace

PackedMatrix::PackedMatrix(std::vector<std::shared_ptr<const PackedTensor>> parts)
    : in_(parts.front()->in()), parts_(std::move(parts)) {
  for (const auto& part : parts_) {
    assert(part->in() == in_);
    alike_ = alike_ && part->kernel().takes_rows_of(kernel()) && std::ranges::equal(part->order(), order());
    const std::size_t width = part->kernel().tile_columns;
    for (std::size_t tile = 0; tile < part->tiles(); ++tile) {
      tiles_.push_back({part->tile(tile), out_ + tile * width, std::min(width, part->out() - tile * width),
                        &part->kernel()});
    }
    out_ += part->out();
  }
}

PackedMatrix PackedMatrix::pack(std::span<const TensorView> parts, Precision precision) {
  std::vector<std::shared_ptr<const PackedTensor>> packed;
  for (const TensorView& part : parts) packed.push_back(PackedTensor::pack(part, precision));
  return PackedMatrix(std::move(packed));
}

PackedMatrix PackedMatrix::parts(std::size_t first, std::size_t count) const {
  if (count == 0) return {};
  const auto begin = parts_.begin() + static_cast<std::ptrdiff_t>(first);
  return PackedMatrix({begin, begin + static_cast<std::ptrdiff_t>(count)});
}

std::size_t PackedMatrix::bytes() const {
  std::size_t total = 0;
  for (const auto& part : parts_) total += part->bytes().size();
  return total;
}

void PackedMatrix::multiply(const ProductRows& input, MatrixView<float> y, const Epilogue& epilogue) const {
  const MatrixView<const float> x = input.x;
  assert(!parts_.empty() && x.cols == in_ && y.cols == out_ && x.rows == y.rows);
  assert(!epilogue.activation || !epilogue.accumulate);
  if (!alike_) {
    for (std::size_t i = 0, column = 0; i < parts_.size(); column += parts_[i++]->out()) {
      Epilogue part = epilogue;
      if (part.bias != nullptr) part.bias += column;
      parts(i, 1).multiply(input, y.col_range(column, parts_[i]->out()), part);
    }
    return;
  }
  const MatmulKernel& kernel = parts_.front()->kernel();
  const PreparedRows prepared = prepare_rows(kernel, in_order(input, order()));
  for_each_tile(kernel, prepared, tiles_.size(), [&](std::size_t first, std::size_t rows, std::size_t index) {
    const Tile& tile = tiles_[index];
    const Finish finish{at_column(epilogue.bias, tile.column),
                        epilogue.activation ? &*epilogue.activation : nullptr, epilogue.accumulate};
    thread_local Matrix<float> sums;
    float* data = thread_buffer(sums, rows * kernel.tile_columns);
    const std::byte* next = index + 1 < tiles_.size() ? tiles_[index + 1].packed : nullptr;
    multiply_tile(*tile.kernel, {prepared.row(first), data, rows, in_, tile.columns, tile.packed, next},
                  finish, y.row_range(first, rows).col_range(tile.column, tile.columns));
  });
}

void PackedMatrix::multiply_gated(const ProductRows& input, MatrixView<float> y, Activation activation,
                                  const float* bias) const {
  const MatrixView<const float> x = input.x;
  assert(parts_.size() == 2 && x.cols == in_ && 2 * y.cols == out_ && x.rows == y.rows);
  if (!alike_) {
    Matrix<float> both(y.rows, out_);
    multiply(input, both.view(), {bias, {}, false});
    parallel_rows(y.rows, [&](std::size_t r) {
      simd().activate_gated(activation, both.row(r), both.row(r) + y.cols, y.cols, y.row(r));
    });
    return;
  }
  const MatmulKernel& kernel = parts_.front()->kernel();
  const PreparedRows prepared = prepare_rows(kernel, in_order(input, order()));
  const std::size_t half = tiles_.size() / 2;
  for_each_tile(kernel, prepared, half, [&](std::size_t first, std::size_t rows, std::size_t index) {
    const Tile &gate = tiles_[index], &up = tiles_[half + index];
    thread_local Matrix<float> memory;
    float* sums = thread_buffer(memory, 2 * rows * kernel.tile_columns);
    const MatrixView<float> gates(sums + rows * kernel.tile_columns, rows, gate.columns);
    multiply_tile(*gate.kernel, {prepared.row(first), sums, rows, in_, gate.columns, gate.packed, up.packed},
                  {at_column(bias, gate.column), &activation}, gates);
    const std::byte* next = index + 1 < half ? tiles_[index + 1].packed : nullptr;
    multiply_tile(*up.kernel, {prepared.row(first), sums, rows, in_, up.columns, up.packed, next},
                  {at_column(bias, up.column), nullptr, false, gates.data, gates.stride},
                  y.row_range(first, rows).col_range(gate.column, gate.columns));
  });
}

bool rows_are_independent(const MatmulKernel& kernel) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (const auto& [in, columns] : {std::pair<std::size_t, std::size_t>{53, 37}, {64, 64}, {300, 50}}) {
    const std::size_t stride = kernel.prepare != nullptr ? Panel::kColumns : columns;
    Matrix<float> weights(columns, in), x(kTileRows, in), whole(kTileRows, stride), part(kTileRows, stride);
    Matrix<std::byte> packed(1, kernel.packed_bytes(in, columns));
    std::generate_n(weights.data(), columns * in, [&] { return normal(random); });
    std::generate_n(x.data(), kTileRows * in, [&] { return normal(random); });
    kernel.pack(weights.data(), in, columns, packed.data());
    const PreparedRows prepared = prepare_rows(kernel, {x.view()});
    kernel.multiply({prepared.data, whole.data(), kTileRows, in, columns, packed.data()});
    for (const std::size_t first : {0u, 1u, 5u, 64u}) {
      for (const std::size_t rows : {1u, 2u, 3u, 4u, 7u, 8u, 12u, 16u, 17u, 31u, 32u, 33u, 63u}) {
        kernel.multiply({prepared.row(first), part.data(), rows, in, columns, packed.data()});
        if (std::memcmp(part.data(), whole.row(first), rows * stride * sizeof(float)) != 0) return false;
      }
    }
  }
  return true;
}

}  // namespace mmbatch
