#pragma once

// AMX: eight registers of up to sixteen rows of 64 bytes, called tiles, and instructions that add the product
// of two tiles to a third. Sixteen words of depth of a strip, see panel.h, are a tile as they lie: a row for
// each word, sixteen columns.

#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_TILE__)

constexpr std::size_t kAmxRows = 16;
constexpr std::size_t kAmxRowBytes = 64;
constexpr std::size_t kAmxBytes = kAmxRows * kAmxRowBytes;
/// Up to so many rows are no slower without tiles where products of groups go through memory.
constexpr std::size_t kRowsWithoutTiles = 16;

/// What a word of four bytes holds: activations in int8 and weights without sign, or two bfloat16 of both.
enum class AmxWords { bytes, bf16 };

/// The shapes of tiles for as long as it lives, after which they hold nothing. Tiles 0 and 1 are sums of the
/// rows in front, 2 and 3 of those behind; 4 and 5 are the activations of both, 6 and 7 weights.
class AmxShapes {
 public:
  /// As the instruction reads them.
  struct alignas(64) Shapes {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  };

  /// @param depth in words
  AmxShapes(std::size_t front, std::size_t back, std::size_t depth = kAmxRows) {
    const std::size_t rows[] = {front, front, back, back, front, back, depth, depth};
    Shapes shapes;
    for (std::size_t tile = 0; tile < 8; ++tile) {
      shapes.rows[tile] = static_cast<std::uint8_t>(rows[tile]);
      shapes.row_bytes[tile] = static_cast<std::uint16_t>(tile == 4 || tile == 5 ? 4 * depth : kAmxRowBytes);
    }
    load(shapes);
  }
  ~AmxShapes() { _tile_release(); }
  AmxShapes(const AmxShapes&) = delete;
  AmxShapes& operator=(const AmxShapes&) = delete;

  MMBATCH_INLINE void load(const Shapes& shapes) {
    written();
    _tile_loadconfig(&shapes);
  }
  /// What tiles are loaded from next has been written: the intrinsics do not say that they read memory.
  MMBATCH_INLINE void written() { asm volatile("" ::: "memory"); }
};

/// sum += x · w, which the instructions take as numbers written out.
#define MMBATCH_MULTIPLY_TILES(sum, x, w) \
  if constexpr (words == AmxWords::bytes) \
    _tile_dpbsud(sum, x, w);              \
  else                                    \
    _tile_dpbf16ps(sum, x, w)

/// Sums 0 … 3 = 0.
MMBATCH_INLINE void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

/// Sums 0 … 3 += activations 4 and 5 · weights 6 and 7.
template <AmxWords words>
MMBATCH_INLINE void multiply_tiles() {
  MMBATCH_MULTIPLY_TILES(0, 4, 6);
  MMBATCH_MULTIPLY_TILES(1, 4, 7);
  MMBATCH_MULTIPLY_TILES(2, 5, 6);
  MMBATCH_MULTIPLY_TILES(3, 5, 7);
}

/// Lines of two strips that are wanted later, some of both in each step.
struct AmxFetch {
  const std::byte* next;
  std::size_t strip_bytes;
  std::size_t lines;  // of a step and strip

  MMBATCH_INLINE void step(AmxFetch& fetch) {
    for (std::size_t i = 0; i < fetch.lines; ++i, fetch.next += 64) {
      __builtin_prefetch(fetch.next, 0, 2);
      __builtin_prefetch(fetch.next + fetch.strip_bytes, 0, 2);
    }
  }
};

/// Where activations are expected. From the second-level cache they come past the first, where they would
/// drive out weights that all rows share.
enum class AmxRowsFrom { first_level, second_level };

#define MMBATCH_LOAD_ROWS(tile, x, row_bytes)      \
  if constexpr (from == AmxRowsFrom::second_level) \
    _tile_stream_loadd(tile, x, row_bytes);        \
  else                                             \
    _tile_loadd(tile, x, row_bytes)

/// y[some rows] (+)= x · a block of two strips, `steps` tiles of each.
struct AmxBlock {
  const std::byte* x;  // of the first row, at the block's depth
  std::size_t row_bytes;
  const std::byte* block;
  std::size_t strip_bytes;  // from one strip to the next
  std::size_t steps;
  Begin begin;
  float* y;  // rows Panel::kColumns apart

  static constexpr std::size_t kYBytes = Panel::kColumns * sizeof(float);

  /// Of kAmxRows rows in front, and as many behind them as the shapes say.
  template <AmxWords words, AmxRowsFrom from = AmxRowsFrom::first_level>
  __attribute__((always_inline)) void run(AmxFetch& fetch) const {
    const std::byte *front = x, *back = x + kAmxRows * row_bytes;
    const std::byte *w = block, *w_next = block + strip_bytes;
    float* y_back = y + kAmxRows * Panel::kColumns;
    if (begin == Begin::zero) {
      zero_sums();
    } else {
      _tile_loadd(0, y, kYBytes);
      _tile_loadd(1, y + Panel::kStrip, kYBytes);
      _tile_loadd(2, y_back, kYBytes);
      _tile_loadd(3, y_back + Panel::kStrip, kYBytes);
    }
    for (std::size_t step = 0; step < steps; ++step) {
      AmxFetch::step(fetch);
      _tile_loadd(6, w, kAmxRowBytes);
      MMBATCH_LOAD_ROWS(4, front, row_bytes);
      _tile_loadd(7, w_next, kAmxRowBytes);
      MMBATCH_LOAD_ROWS(5, back, row_bytes);
      multiply_tiles<words>();
      front += kAmxRowBytes;
      back += kAmxRowBytes;
      w += kAmxBytes;
      w_next += kAmxBytes;
    }
    store(y);
  }
  /// Sums 0 … 3.  @param to of the first row in front, rows Panel::kColumns apart
  MMBATCH_INLINE void store(float* to) {
    float* to_back = to + kAmxRows * Panel::kColumns;
    _tile_stored(0, to, kYBytes);
    _tile_stored(1, to + Panel::kStrip, kYBytes);
    _tile_stored(2, to_back, kYBytes);
    _tile_stored(3, to_back + Panel::kStrip, kYBytes);
  }
};
#endif

}  // namespace mmbatch::MMBATCH_ISA
