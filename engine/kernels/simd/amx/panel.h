#pragma once

// A panel's products with AMX: rows by thirty-two and two strips, whose products need the fewest loads that
// eight tiles allow; what is left over by sixteen at most and all strips.

#include "engine/kernels/simd/amx/tiles.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_TILE__)

/// From so many groups of rows on, the weights of two strips stay in the first-level cache while rows pass
/// by, kAmxSteps tiles of each: the deeper, the less often sums go to memory and back. With fewer groups
/// weights are hardly used twice; then rows stay there for all strips, kAmxFewSteps tiles of each.
constexpr std::size_t kAmxManyGroups = 8;
constexpr std::size_t kAmxSteps = 16;
constexpr std::size_t kAmxFewSteps = 4;

/// Part of the weights of some strips, in tiles.
struct AmxWeights {
  const std::byte* block;
  std::size_t strip_bytes;
};

/// The depth of a panel in blocks of about equally many tiles.
struct AmxDepth {
  std::size_t steps, most, blocks = (steps + most - 1) / most;

  std::size_t first(std::size_t block) const { return steps * block / blocks; }
};

/// How far few rows look ahead in every strip, in bytes.
constexpr std::size_t kAmxAhead = 2048;

/// Weights that are tiles as they lie in a panel.
struct AmxStoredWeights {
  const PanelProduct& p;
  std::size_t strip_bytes;

  /// Of two strips from `strip` on, `count` tiles of each from `first` on.
  AmxWeights operator()(std::size_t strip, std::size_t first, std::size_t) const {
    return {p.panel + strip * strip_bytes + first * kAmxBytes, strip_bytes};
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
  /// What is wanted after `block`: the same strips `ahead` blocks deeper; behind the last, of the next panel.
  AmxFetch behind(std::size_t strip, const AmxDepth& depth, std::size_t block, std::size_t ahead,
                  std::size_t groups) const {
    for (block += ahead; block >= depth.blocks; block -= depth.blocks) strip += kStrips;
    return {(*this)(strip, depth.first(block), 0).block, strip_bytes, (kAmxBytes / 64 + groups - 1) / groups};
  }
};

/// Weights that become tiles of bfloat16 before they are multiplied. Format: kTileBytes that a tile takes in
/// memory, and widen(from, to).
template <class Format>
struct AmxWidenedWeights {
  const PanelProduct& p;
  std::size_t strip_bytes;
  std::byte* wide;  // [kStrips, kAmxSteps, kAmxBytes]

  AmxWeights operator()(std::size_t strip, std::size_t first, std::size_t count) const {
    constexpr std::size_t kWideStrip = kAmxSteps * kAmxBytes;
    for (std::size_t s = strip; s < strip + 2; ++s) {
      const std::byte* from = p.panel + s * strip_bytes + first * Format::kTileBytes;
      std::byte* to = wide + s * kWideStrip;
      for (std::size_t tile = 0; tile < count; ++tile, from += Format::kTileBytes, to += kAmxBytes) {
        for (std::size_t line = 0; line < Format::kTileBytes; line += 64)
          __builtin_prefetch(from + kAmxSteps * Format::kTileBytes + line, 0, 2);
        Format::widen(from, to);
      }
    }
    return {wide + strip * kWideStrip, kWideStrip};
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
  AmxFetch behind(std::size_t, const AmxDepth&, std::size_t, std::size_t, std::size_t) const {
    return {wide, 0, 0};
  }
};

/// Rows from `first_row` on: those in front and `back` more, and as many groups of both as there are.
template <AmxWords words, class Weights>
void take_amx_groups(const PanelProduct& p, const std::byte* x, std::size_t steps, const Weights& weights,
                     std::size_t first_row, std::size_t groups, std::size_t back) {
  const AmxShapes shapes(kAmxRows, back);
  const bool many = groups >= kAmxManyGroups;
  const AmxDepth depth{steps, many ? kAmxSteps : kAmxFewSteps};
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
