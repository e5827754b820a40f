#pragma once

// A panel's weights as tiles: as they lie, or widened on the way.

#include "engine/kernels/simd/amx/tiles.h"
#include "engine/kernels/simd/blocks/registers.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_TILE__)

/// From so many groups of rows on, the weights of two strips stay in the first-level cache while rows pass
/// by, kAmxSteps tiles of each: the deeper, the less often sums go to memory and back. With fewer groups
/// weights are hardly used twice; then rows stay there for all strips, kAmxFewSteps tiles of each.
constexpr std::size_t kAmxManyGroups = 8;
constexpr std::size_t kAmxSteps = 16;
constexpr std::size_t kAmxFewSteps = 4;

/// How far whoever widens few rows' weights looks ahead in every strip, in bytes.
constexpr std::size_t kAmxAhead = 2048;

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

/// A tile, of `bytes`, of each of some strips that is wanted `tiles` later, in quarters: asked for all at
/// once, their lines would hold up what is loaded now.
template <std::size_t bytes, std::size_t tiles>
struct AmxAhead {
  const std::byte* at;
  std::size_t strip_bytes;

  /// Of `count` strips from `strip` on, whose depth is `steps` tiles; then of the strips that follow.
  AmxAhead(const StripsInTurn& strips, std::size_t strip, std::size_t count, std::size_t step,
           std::size_t steps)
      : strip_bytes(strips.strip_bytes) {
    step += tiles;
    if (step >= steps) step -= steps, strip += count;
    at = strips[strip] + step * bytes;
  }

  template <std::size_t strips, std::size_t quarter>
  __attribute__((always_inline)) void ask() const {
    for (std::size_t line = quarter * bytes / 4; line < (quarter + 1) * bytes / 4; line += 64) {
      for (std::size_t s = 0; s < strips; ++s) __builtin_prefetch(at + s * strip_bytes + line, 0, 3);
    }
  }
};

/// Of weights that are asked for elsewhere.
struct AmxNothingAhead {
  template <std::size_t strips, std::size_t quarter>
  __attribute__((always_inline)) void ask() const {}
};

/// Weights that are tiles as they lie in a panel.
struct AmxStoredWeights {
  StripsInTurn strips;
  std::size_t steps;  // the depth in tiles

  /// Of two strips from `strip` on, `count` tiles of each from `first` on.
  AmxWeights operator()(std::size_t strip, std::size_t first, std::size_t) const {
    return {strips[strip] + first * kAmxBytes, strips.strip_bytes};
  }
  /// One tile each of `count` strips from `strip` on.
  template <std::size_t count>
  AmxWeights next(std::size_t strip, std::size_t step) const {
    return (*this)(strip, step, 1);
  }
  template <std::size_t count>
  AmxAhead<kAmxBytes, 1> ahead(std::size_t strip, std::size_t step) const {
    return {strips, strip, count, step, steps};
  }
  /// What is wanted after `block`: the same strips `ahead` blocks deeper; behind the last, of the next panel.
  AmxFetch behind(std::size_t strip, const AmxDepth& depth, std::size_t block, std::size_t ahead,
                  std::size_t groups) const {
    for (block += ahead; block >= depth.blocks; block -= depth.blocks) strip += kStrips;
    return {(*this)(strip, depth.first(block), 0).block, strips.strip_bytes,
            (kAmxBytes / 64 + groups - 1) / groups};
  }
};

/// Weights that become tiles of bfloat16 before they are multiplied, and are asked for meanwhile. Format:
/// kTileBytes that a tile takes in memory, and widen(from, to).
template <class Format>
struct AmxWidenedWeights {
  StripsInTurn strips;
  std::size_t steps;
  std::byte* wide;  // [kStrips, kAmxSteps, kAmxBytes]

  AmxWeights operator()(std::size_t strip, std::size_t first, std::size_t count) const {
    constexpr std::size_t kWideStrip = kAmxSteps * kAmxBytes;
    for (std::size_t s = strip; s < strip + 2; ++s) {
      const std::byte* from = strips[s] + first * Format::kTileBytes;
      std::byte* to = wide + s * kWideStrip;
      for (std::size_t tile = 0; tile < count; ++tile, from += Format::kTileBytes, to += kAmxBytes) {
        for (std::size_t line = 0; line < Format::kTileBytes; line += 64)
          __builtin_prefetch(from + kAmxSteps * Format::kTileBytes + line, 0, 2);
        Format::widen(from, to);
      }
    }
    return {wide + strip * kWideStrip, kWideStrip};
  }
  template <std::size_t count>
  AmxWeights next(std::size_t strip, std::size_t step) const {
    std::byte* to = wide + step % 2 * kStrips * kAmxBytes;  // not where the last one may yet be read
    constexpr std::size_t kBytes = Format::kTileBytes;
    const AmxAhead<kBytes, kAmxAhead / kBytes> ahead(strips, strip, count, step, steps);
    const std::byte* from = strips[strip] + step * kBytes;
    MMBATCH_UNROLLED(count, s) {
      ahead.template ask<count, 4 * s / count>();
      if constexpr (count == 2) ahead.template ask<count, 2 * s + 1>();
      Format::widen(from + s * strips.strip_bytes, to + s * kAmxBytes);
    });
    return {to, kAmxBytes};
  }
  template <std::size_t strips>
  AmxNothingAhead ahead(std::size_t, std::size_t) const {
    return {};
  }
  AmxFetch behind(std::size_t, const AmxDepth&, std::size_t, std::size_t, std::size_t) const {
    return {wide, 0, 0};
  }
};
#endif

}  // namespace mmbatch::MMBATCH_ISA
