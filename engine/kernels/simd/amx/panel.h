#pragma once

// A panel's products with AMX: rows by thirty-two and two strips, whose products need the fewest loads that
// eight tiles allow; what is left over by sixteen at most and all strips.

#include "engine/kernels/simd/amx/weights.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_TILE__)

/// Rows from `first_row` on: those in front and `back` more, and as many groups of both as there are.
template <AmxWords words, class Weights>
void take_amx_groups(const PanelProduct& p, const std::byte* x, const Weights& weights, std::size_t first_row,
                     std::size_t groups, std::size_t back) {
  const AmxShapes shapes(kAmxRows, back);
  const bool many = groups >= kAmxManyGroups;
  const AmxDepth depth{weights.steps, many ? kAmxSteps : kAmxFewSteps};
  for (std::size_t block = 0; block < depth.blocks; ++block) {
    const std::size_t first = depth.first(block), count = depth.first(block + 1) - first;
    const auto multiply = [&](std::size_t group, std::size_t strip, const AmxWeights& part, AmxFetch& fetch)
        __attribute__((always_inline)) {
      const std::size_t row = first_row + 2 * kAmxRows * group;
      const AmxBlock work{x + row * p.row_bytes + first * kAmxRowBytes,
                          p.row_bytes,
                          part.block,
                          part.strip_bytes,
                          count,
                          first == 0 ? Begin::zero : Begin::stored,
                          p.y + row * Panel::kColumns + strip * Panel::kStrip};
      if (many)
        work.template run<words, AmxRowsFrom::second_level>(fetch);
      else
        work.template run<words, AmxRowsFrom::first_level>(fetch);
    };
    const auto weights_of = [&](std::size_t strip) { return weights(strip, first, count); };
    const auto fetch_of = [&](std::size_t strip) {
      return weights.behind(strip, depth, block, many ? 1 : kAmxSteps / kAmxFewSteps, groups);
    };
    if (many) {
      for (std::size_t strip = 0; strip < kStrips; strip += 2) {
        const AmxWeights part = weights_of(strip);
        AmxShapes::written();
        AmxFetch fetch = fetch_of(strip);
        for (std::size_t group = 0; group < groups; ++group) multiply(group, strip, part, fetch);
      }
    } else {
      static_assert(kStrips == 4);
      const AmxWeights parts[] = {weights_of(0), weights_of(2)};
      AmxShapes::written();
      AmxFetch fetches[] = {fetch_of(0), fetch_of(2)};
      for (std::size_t group = 0; group < groups; ++group) {
        multiply(group, 0, parts[0], fetches[0]);
        multiply(group, 2, parts[1], fetches[1]);
      }
    }
  }
}

/// One group of kAmxRows rows and `back` more, whose sums of two strips stay in tiles: as fast as memory.
template <AmxWords words, class Weights>
void take_amx_group(const PanelProduct& p, const std::byte* x, const Weights& weights, std::size_t first_row,
                    std::size_t back) {
  const AmxShapes shapes(kAmxRows, back);
  x += first_row * p.row_bytes;
  for (std::size_t strip = 0; strip < kStrips; strip += 2) {
    const std::byte *front = x, *behind = x + kAmxRows * p.row_bytes;
    zero_sums();
    for (std::size_t step = 0; step < weights.steps; ++step) {
      const AmxWeights part = weights.template next<2>(strip, step);
      const auto ahead = weights.template ahead<2>(strip, step);
      AmxShapes::written();
      _tile_loadd(4, front, p.row_bytes);
      ahead.template ask<2, 0>();
      _tile_loadd(6, part.block, kAmxRowBytes);
      MMBATCH_MULTIPLY_TILES(0, 4, 6);
      ahead.template ask<2, 1>();
      _tile_loadd(7, part.block + part.strip_bytes, kAmxRowBytes);
      MMBATCH_MULTIPLY_TILES(1, 4, 7);
      _tile_loadd(5, behind, p.row_bytes);
      ahead.template ask<2, 2>();
      MMBATCH_MULTIPLY_TILES(2, 5, 6);
      ahead.template ask<2, 3>();
      MMBATCH_MULTIPLY_TILES(3, 5, 7);
      front += kAmxRowBytes;
      behind += kAmxRowBytes;
    }
    AmxBlock::store(p.y + first_row * Panel::kColumns + strip * Panel::kStrip);
  }
}

/// Sums 0 … 3, a strip each, += rows at x · a tile of every strip.
template <AmxWords words, class Ahead>
MMBATCH_INLINE void multiply_amx_strips(const std::byte* x, std::size_t row_bytes, const AmxWeights& part,
                                        const Ahead& ahead) {
  static_assert(kStrips == 4);
  _tile_loadd(4, x, row_bytes);
  ahead.template ask<kStrips, 0>();
  _tile_loadd(6, part.block, kAmxRowBytes);
  MMBATCH_MULTIPLY_TILES(0, 4, 6);
  ahead.template ask<kStrips, 1>();
  _tile_loadd(7, part.block + part.strip_bytes, kAmxRowBytes);
  MMBATCH_MULTIPLY_TILES(1, 4, 7);
  ahead.template ask<kStrips, 2>();
  _tile_loadd(6, part.block + 2 * part.strip_bytes, kAmxRowBytes);
  MMBATCH_MULTIPLY_TILES(2, 4, 6);
  ahead.template ask<kStrips, 3>();
  _tile_loadd(7, part.block + 3 * part.strip_bytes, kAmxRowBytes);
  MMBATCH_MULTIPLY_TILES(3, 4, 7);
}

/// @param y rows Panel::kColumns apart
MMBATCH_INLINE void store_amx_strips(float* y) {
  _tile_stored(0, y, AmxBlock::kYBytes);
  _tile_stored(1, y + Panel::kStrip, AmxBlock::kYBytes);
  _tile_stored(2, y + 2 * Panel::kStrip, AmxBlock::kYBytes);
  _tile_stored(3, y + 3 * Panel::kStrip, AmxBlock::kYBytes);
}

/// At most kAmxRows rows from `first_row` on, with the sums of all strips, each a stream of memory of its
/// own.
template <AmxWords words, class Weights>
void take_amx_few(const PanelProduct& p, const std::byte* x, const Weights& weights, std::size_t first_row,
                  std::size_t rows) {
  const AmxShapes shapes(rows, rows);
  x += first_row * p.row_bytes;
  zero_sums();
  for (std::size_t step = 0; step < weights.steps; ++step, x += kAmxRowBytes) {
    const AmxWeights part = weights.template next<kStrips>(0, step);
    AmxShapes::written();
    multiply_amx_strips<words>(x, p.row_bytes, part, weights.template ahead<kStrips>(0, step));
  }
  store_amx_strips(p.y + first_row * Panel::kColumns);
}

/// All rows: calls groups(first_row, count, back) for groups of kAmxRows and `back` more, and
/// few(first_row, rows) for at most kAmxRows.
template <class Groups, class Few>
MMBATCH_INLINE void for_amx_rows(std::size_t rows, const Groups& groups, const Few& few) {
  constexpr std::size_t kGroup = 2 * kAmxRows;
  const std::size_t left = rows % kGroup, done = rows - left;
  if (done > 0) groups(0, done / kGroup, kAmxRows);
  if (left > kAmxRows)
    groups(done, 1, left - kAmxRows);
  else if (left > 0)
    few(done, left);
}

/// y[all rows] = x · a panel. Every sum is one chain in the order of the depth, whatever the number of rows.
/// @param x of row 0, without its header
template <AmxWords words, class Weights>
void take_amx_panel(const PanelProduct& p, const std::byte* x, const Weights& weights) {
  for_amx_rows(
      p.rows,
      [&](std::size_t first, std::size_t groups, std::size_t back) {
        if (groups == 1)
          take_amx_group<words>(p, x, weights, first, back);
        else
          take_amx_groups<words>(p, x, weights, first, groups, back);
      },
      [&](std::size_t first, std::size_t rows) { take_amx_few<words>(p, x, weights, first, rows); });
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
