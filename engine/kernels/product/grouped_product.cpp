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

/// A work's weights; null: there is no such work.
const std::byte* packed_of(std::span<const Work> works, std::size_t index) {
  return index < works.size() ? works[index].group->weights->tiles()[works[index].tile].packed : nullptr;
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

/// Of a group's bias what a tile's columns add; null: nothing.
const float* bias_of(const Work& work, const PackedMatrix::Tile& tile) {
  return work.group->bias == nullptr ? nullptr : work.group->bias + tile.column;
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
    thread_local Matrix<float> sums;
    float* data = thread_buffer(sums, kTileRows * kernel.tile_columns);
    multiply_tile(*tile.kernel,
                  {prepared.row(work.first), data, work.rows, shape.in(), tile.columns, tile.packed,
                   packed_of(works, i + 1)},
                  {bias_of(work, tile)},
                  y.row_range(work.first, work.rows).col_range(tile.column, tile.columns));
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
    const auto& tiles = work.group->weights->tiles();
    const PackedMatrix::Tile &gate = tiles[work.tile], &up = tiles[half + work.tile];
    thread_local Matrix<float> memory;
    float* sums = thread_buffer(memory, 2 * kTileRows * kernel.tile_columns);
    const MatrixView<float> gates(sums + kTileRows * kernel.tile_columns, work.rows, gate.columns);
    const MatrixView<float> target = y.row_range(work.first, work.rows).col_range(gate.column, gate.columns);
    const auto multiply = [&](const PackedMatrix::Tile& tile, const std::byte* next, const Finish& finish,
                              MatrixView<float> to) {
      multiply_tile(*tile.kernel,
                    {prepared.row(work.first), sums, work.rows, shape.in(), tile.columns, tile.packed, next},
                    finish, to);
    };
    const std::byte* next = packed_of(works, i + 1);
    if (!gating.clamped) {
      multiply(gate, up.packed, {bias_of(work, gate), &gating.activation}, gates);
      return multiply(up, next, {bias_of(work, up), nullptr, false, gates.data, gates.stride}, target);
    }
    multiply(gate, up.packed, {bias_of(work, gate)}, gates);
    multiply(up, next, {bias_of(work, up)}, target);
    for (std::size_t r = 0; r < work.rows; ++r)
      simd().activate_clamped(*gating.clamped, gates.row(r), target.row(r), gate.columns, target.row(r));
  });
}

}  // namespace mmbatch
