#include "engine/kernels/product/grouped_product.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "engine/base/threads.h"
#include "engine/kernels/product/tile_product.h"
#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// Some rows of a group times some columns of its weights.
struct Work {
  const RowGroup* group;
  std::size_t tile;
  std::size_t first, rows;
};

/// A work's weights, of the part whose tiles begin at `first_tile`; null: there is no such work.
const std::byte* packed_of(std::span<const Work> works, std::size_t index, std::size_t first_tile = 0) {
  if (index >= works.size()) return nullptr;
  return works[index].group->weights->tiles()[first_tile + works[index].tile].packed;
}

/// @param tiles of each group's weights that are taken.  Neighbours share a tile of columns.
std::vector<Work> works_of(std::span<const RowGroup> groups, std::size_t tiles) {
  std::vector<Work> works;
  works.reserve(groups.size() * tiles);
  for (const RowGroup& group : groups) {
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      for (std::size_t begin = 0; begin < group.count; begin += kTileRows)
        works.push_back({&group, tile, group.first + begin, std::min(kTileRows, group.count - begin)});
    }
  }
  return works;
}

/// The rows in the kernel's form, in the product's order: each row of x is brought into it once.
PreparedRows prepare(const MatmulKernel& kernel, const GroupedRows& input) {
  const PreparedRows prepared = prepare_rows(kernel, {input.x});
  if (input.rows.empty()) return prepared;
  thread_local Matrix<std::byte> memory;
  std::byte* out = thread_buffer(memory, input.rows.size() * prepared.row_bytes);
  parallel_rows(input.rows.size(), [&](std::size_t i) {
    assert(input.rows[i] < prepared.rows);
    std::memcpy(out + i * prepared.row_bytes, prepared.row(input.rows[i]), prepared.row_bytes);
  });
  return {out, prepared.row_bytes, input.rows.size()};
}

void gate_row(const Gating& gating, const float* gate, const float* up, std::size_t n, float* out) {
  if (gating.clamped)
    simd().activate_clamped(*gating.clamped, gate, up, n, out);
  else
    simd().activate_gated(gating.activation, gate, up, n, out);
}

}  // namespace

void multiply_grouped(const GroupedRows& input, std::span<const RowGroup> groups, MatrixView<float> y) {
  if (groups.empty()) return;
  const PackedMatrix& shape = *groups.front().weights;
  const MatmulKernel& kernel = shape.kernel();
  assert(input.x.cols == shape.in() && y.cols == shape.out() && shape.order().empty());
  const PreparedRows prepared = prepare(kernel, input);
  assert(prepared.rows == y.rows);
  const std::vector<Work> works = works_of(groups, shape.tiles().size());
  parallel_tiles(works.size(), [&](std::size_t i) {
    const Work& work = works[i];
    assert(work.group->weights->kernel().takes_rows_of(kernel) && work.group->weights->out() == shape.out());
    const PackedMatrix::Tile& tile = work.group->weights->tiles()[work.tile];
    const MatrixView<float> target = y.row_range(work.first, work.rows).col_range(tile.column, tile.columns);
    const std::size_t stride = product_stride(kernel, tile.columns);
    thread_local Matrix<float> sums;
    float* data = thread_buffer(sums, kTileRows * kernel.tile_columns);
    tile.kernel->multiply({prepared.row(work.first), data, work.rows, shape.in(), tile.columns, tile.packed,
                           packed_of(works, i + 1)});
    finish_tile(target, MatrixView<float>{data, work.rows, tile.columns, stride},
                Epilogue{work.group->bias, {}, false}, tile.column);
  });
}

void multiply_grouped_gated(const GroupedRows& input, std::span<const RowGroup> groups, MatrixView<float> y,
                            const Gating& gating) {
  if (groups.empty()) return;
  const PackedMatrix& shape = *groups.front().weights;
  const MatmulKernel& kernel = shape.kernel();
  assert(input.x.cols == shape.in() && 2 * y.cols == shape.out() && shape.order().empty());
  const PreparedRows prepared = prepare(kernel, input);
  assert(prepared.rows == y.rows);
  const std::size_t half = shape.tiles().size() / 2;
  const std::vector<Work> works = works_of(groups, half);
  parallel_tiles(works.size(), [&](std::size_t i) {
    const Work& work = works[i];
    assert(work.group->weights->kernel().takes_rows_of(kernel) && work.group->weights->out() == shape.out());
    thread_local Matrix<float> sums;
    float* data = thread_buffer(sums, 2 * kTileRows * kernel.tile_columns);
    MatrixView<float> products[2];
    for (std::size_t part = 0; part < 2; ++part) {
      const PackedMatrix::Tile& tile = work.group->weights->tiles()[part * half + work.tile];
      products[part] = {data + part * kTileRows * kernel.tile_columns, work.rows, tile.columns,
                        product_stride(kernel, tile.columns)};
      tile.kernel->multiply({prepared.row(work.first), products[part].data, work.rows, shape.in(),
                             tile.columns, tile.packed,
                             part == 0 ? packed_of(works, i, half) : packed_of(works, i + 1)});
      add_bias(products[part], work.group->bias != nullptr ? work.group->bias + tile.column : nullptr);
    }
    const std::size_t column = shape.tiles()[work.tile].column;
    for (std::size_t r = 0; r < work.rows; ++r) {
      gate_row(gating, products[0].row(r), products[1].row(r), products[0].cols,
               y.row(work.first + r) + column);
    }
  });
}

}  // namespace mmbatch
