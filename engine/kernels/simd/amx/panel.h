#pragma once

// A panel's products with AMX: rows by thirty-two and two strips, whose products need the fewest loads that
// eight tiles allow; what is left over by sixteen at most and all strips.

#include "engine/kernels/simd/amx/tiles.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_TILE__)

/// Tiles of each strip that groups of rows pass over in the first-level cache.
constexpr std::size_t kAmxSteps = 4;

/// Part of the weights of all strips, in tiles.
struct AmxWeights {
  const std::byte* block;
  std::size_t strip_bytes;
};

/// How far few rows look ahead in every strip, in bytes.
constexpr std::size_t kAmxAhead = 2048;

/// Weights that are tiles as they lie in a panel.
struct AmxStoredWeights {
  const PanelProduct& p;
  std::size_t strip_bytes;

  AmxWeights operator()(std::size_t first, std::size_t) const {
    return {p.panel + first * kAmxBytes, strip_bytes};
  }
  /// One tile of each strip, with what is ahead asked for.
  AmxWeights next(std::size_t step) const {
    const std::byte* at = p.panel + step * kAmxBytes;
    for (std::size_t s = 0; s < kStrips; ++s) {
      for (std::size_t line = 0; line < kAmxBytes; line += 64)
        __builtin_prefetch(at + s * strip_bytes + kAmxAhead + line, 0, 3);
    }
    return {at, strip_bytes};
  }
  /// What is wanted two blocks after tiles from `first` on, for the strips from `strip` on; behind the last
  /// ones, those of the next panel.
  AmxFetch behind(std::size_t strip, std::size_t first, std::size_t groups) const {
    const std::size_t steps = strip_bytes / kAmxBytes, wanted = first + 4 * kAmxSteps;
    const std::size_t at = wanted < steps ? strip * strip_bytes + wanted * kAmxBytes
                                          : (kStrips + strip) * strip_bytes + (wanted - steps) * kAmxBytes;
    return {p.panel + at, strip_bytes, (kAmxBytes / 64 + groups - 1) / groups};
  }
};

/// Weights that become tiles of bfloat16 before they are multiplied. Format: kTileBytes that a tile takes in
/// memory, and widen(from, to).
template <class Format>
struct AmxWidenedWeights {
  const PanelProduct& p;
  std::size_t strip_bytes;
  std::byte* wide;  // [kStrips, kAmxSteps, kAmxBytes]

  AmxWeights operator()(std::size_t first, std::size_t count) const {
    for (std::size_t s = 0; s < kStrips; ++s) {
      const std::byte* from = p.panel + s * strip_bytes + first * Format::kTileBytes;
      std::byte* to = wide + s * kAmxSteps * kAmxBytes;
      for (std::size_t tile = 0; tile < count; ++tile, from += Format::kTileBytes, to += kAmxBytes) {
        for (std::size_t line = 0; line < Format::kTileBytes; line += 64)
          __builtin_prefetch(from + kAmxSteps * Format::kTileBytes + line, 0, 2);
        Format::widen(from, to);
      }
    }
    return {wide, kAmxSteps * kAmxBytes};
  }
  AmxWeights next(std::size_t step) const {
    std::byte* to = wide + step % 2 * kStrips * kAmxBytes;  // not where the last one may yet be read
    for (std::size_t s = 0; s < kStrips; ++s) {
      const std::byte* from = p.panel + s * strip_bytes + step * Format::kTileBytes;
      for (std::size_t line = 0; line < Format::kTileBytes; line += 64)
        __builtin_prefetch(from + kAmxAhead + line, 0, 3);
      Format::widen(from, to + s * kAmxBytes);
    }
    return {to, kAmxBytes};
  }
  /// Nothing: they are asked for while they are widened.
  AmxFetch behind(std::size_t, std::size_t, std::size_t) const { return {wide, 0, 0}; }
};

/// Rows from `first_row` on: those in front and `back` more, and as many groups of both as there are.
template <AmxWords words, class Weights>
void take_amx_groups(const PanelProduct& p, const std::byte* x, std::size_t steps, const Weights& weights,
                     std::size_t first_row, std::size_t groups, std::size_t back) {
  const AmxShapes shapes(kAmxRows, back);
  for (std::size_t first = 0; first < steps; first += kAmxSteps) {
    const std::size_t count = kAmxSteps < steps - first ? kAmxSteps : steps - first;
    const AmxWeights part = weights(first, count);
    AmxShapes::written();
    AmxFetch fetches[] = {weights.behind(0, first, groups), weights.behind(2, first, groups)};
    for (std::size_t group = 0; group < groups; ++group) {
      const std::size_t row = first_row + 2 * kAmxRows * group;
      for (std::size_t s = 0; s < kStrips; s += 2) {
        const AmxBlock work{x + row * p.row_bytes + first * kAmxRowBytes,
                            p.row_bytes,
                            part.block + s * part.strip_bytes,
                            part.strip_bytes,
                            count,
                            first == 0 ? Begin::zero : Begin::stored,
                            p.y + row * Panel::kColumns + s * Panel::kStrip};
        work.template run<words>(fetches[s / 2]);
      }
    }
  }
}

/// Sums 0 … 3, a strip each, += rows at x · a tile of every strip.
template <AmxWords words>
MMBATCH_INLINE void multiply_amx_strips(const std::byte* x, std::size_t row_bytes, const AmxWeights& part) {
  static_assert(kStrips == 4);
  _tile_loadd(4, x, row_bytes);
  _tile_loadd(6, part.block, kAmxRowBytes);
  _tile_loadd(7, part.block + part.strip_bytes, kAmxRowBytes);
  MMBATCH_MULTIPLY_TILES(0, 4, 6);
  MMBATCH_MULTIPLY_TILES(1, 4, 7);
  _tile_loadd(6, part.block + 2 * part.strip_bytes, kAmxRowBytes);
  _tile_loadd(7, part.block + 3 * part.strip_bytes, kAmxRowBytes);
  MMBATCH_MULTIPLY_TILES(2, 4, 6);
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
void take_amx_few(const PanelProduct& p, const std::byte* x, std::size_t steps, const Weights& weights,
                  std::size_t first_row, std::size_t rows) {
  const AmxShapes shapes(rows, rows);
  x += first_row * p.row_bytes;
  zero_sums();
  for (std::size_t step = 0; step < steps; ++step, x += kAmxRowBytes) {
    const AmxWeights part = weights.next(step);
    AmxShapes::written();
    multiply_amx_strips<words>(x, p.row_bytes, part);
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

/// y[all rows] = x · a panel, whose strips are `steps` tiles deep. Every sum is one chain in the order of the
/// depth, whatever the number of rows.  @param x of row 0, without its header
template <AmxWords words, class Weights>
void take_amx_panel(const PanelProduct& p, const std::byte* x, std::size_t steps, const Weights& weights) {
  for_amx_rows(
      p.rows,
      [&](std::size_t first, std::size_t groups, std::size_t back) {
        take_amx_groups<words>(p, x, steps, weights, first, groups, back);
      },
      [&](std::size_t first, std::size_t rows) { take_amx_few<words>(p, x, steps, weights, first, rows); });
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
