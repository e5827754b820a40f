#pragma once

// int8 products where no instruction adds four of them to a 32-bit sum in 64 bytes at once: weights and
// activations widened to sixteen bits, whose products and the sums of two of them are exact. (The other way,
// vpmaddubsw, which multiplies bytes, needs one operand without its sign and as many multiplications.)

#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

#if defined(MMBATCH_WIDENED_BYTES)
/// Rows hold int16, a register of sums four, two or one column by two.
struct WidenedBytes {
  static constexpr std::size_t kColumns = kRegisterLanes / 2;  // of a register of sums
  static constexpr std::size_t kWeightBytes = kRegisterBytes / 2;
  static constexpr std::size_t kXBytes = 8;  // of a row in a step of four inputs

#if defined(__AVX512BW__)
  MMBATCH_INLINE IntRegister weights(const std::byte* p) {
    return (IntRegister)_mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
#elif defined(__AVX2__)
  MMBATCH_INLINE IntRegister weights(const std::byte* p) {
    return (IntRegister)_mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
#else
  MMBATCH_INLINE IntRegister weights(const std::byte* p) {
    return (IntRegister)_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
#endif
  MMBATCH_INLINE IntRegister add(IntRegister sum, IntRegister w, IntRegister x) {
    return add_pairs(sum, w, x);
  }
  MMBATCH_INLINE IntRegister splat(const std::byte* x) {
    typedef std::int64_t Longs __attribute__((vector_size(kRegisterBytes)));
    std::int64_t four;
    __builtin_memcpy(&four, x, sizeof(four));
    return (IntRegister)(four - Longs{});
  }
  /// Adds up what each column has in two lanes, and to y.
  template <std::size_t C>
  MMBATCH_INLINE void put(const IntRegister (&sums)[C], Begin begin, float* y) {
    MMBATCH_UNROLLED(C / 2, i) {
      constexpr std::size_t c = 2 * i;
      IntRegister sum = sums_of_neighbours(sums[c], sums[c + 1]);
      float* to = y + c * kColumns;
      if (begin == Begin::stored) sum = sum + load_register<IntRegister>(to);
      store_register(to, sum);
    });
  }
};

#endif
#if defined(__AVXVNNI__)
/// Rows hold int8, a register of sums eight columns.
struct BytesByFour {
  static constexpr std::size_t kColumns = kRegisterLanes;
  static constexpr std::size_t kWeightBytes = kRegisterBytes;
  static constexpr std::size_t kXBytes = 4;

  MMBATCH_INLINE IntRegister weights(const std::byte* p) { return load_register<IntRegister>(p); }
  MMBATCH_INLINE IntRegister add(IntRegister sum, IntRegister w, IntRegister x) {
    return (IntRegister)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
  }
  MMBATCH_INLINE IntRegister splat(const std::byte* x) { return splat_four_bytes(x); }
  template <std::size_t C>
  MMBATCH_INLINE void put(const IntRegister (&sums)[C], Begin begin, float* y) {
    MMBATCH_UNROLLED(C, c) {
      float* to = y + c * kColumns;
      store_register(to, begin == Begin::stored ? sums[c] + load_register<IntRegister>(to) : sums[c]);
    });
  }
};
#endif

/// y[all rows] (+)= x · a part of a strip, `steps` times four inputs.
template <class Bytes>
struct Int8Block {
  static constexpr std::size_t kTurn = 4;  // steps
  /// Of a part, at most, found by measurement: from 1 to 16 KiB of weights.
  static constexpr std::size_t steps_of(std::size_t rows) { return rows <= 8 ? 16 : rows <= 16 ? 32 : 256; }
  static constexpr std::size_t kStripRegisters = Panel::kStrip / Bytes::kColumns;
  static constexpr std::size_t kRows = kRegisters == 32 ? 12 : 6;

  const std::byte* x;  // of row 0, at the block's depth
  std::size_t row_bytes;
  const std::byte* block;
  std::size_t steps;
  Begin begin;
  float* y;  // rows Panel::kColumns apart

  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    constexpr std::size_t C = registers_of_columns(R, kStripRegisters);
    for (std::size_t c = 0; c < kStripRegisters; c += C) {
      columns<R, C>(first, c, fetch);
      fetch.lines = 0;
    }
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, Fetch fetch) const {
    IntRegister sums[R][C] = {};
    auto rows = RowWords<R>::of(x + first * row_bytes, row_bytes);
    const std::byte* w = block + column * Bytes::kWeightBytes;
    const std::size_t turns = steps / kTurn;
    for (std::size_t turn = 0; turn < turns; ++turn) {
      Fetch::turn(fetch, turn);
      MMBATCH_UNROLLED(kTurn, i) {
        const std::byte* step = w + i * Panel::kStrip * 4;
        const auto weights_of = [&]<std::size_t c>() __attribute__((always_inline)) {
          return Bytes::weights(step + c * Bytes::kWeightBytes);
        };
        const auto row_of = [&]<std::size_t r>() __attribute__((always_inline)) {
          return Bytes::splat(rows.at(r, i * Bytes::kXBytes));
        };
        add_each(
            sums, weights_of, row_of,
            [](IntRegister sum, IntRegister weights, IntRegister row)
                __attribute__((always_inline)) { return Bytes::add(sum, weights, row); });
      });
      w += kTurn * Panel::kStrip * 4;
      rows.move(kTurn * Bytes::kXBytes);
    }
    float* to = y + first * Panel::kColumns + column * Bytes::kColumns;
    MMBATCH_UNROLLED(R, r) {
      Bytes::template put<C>(sums[r], begin, to + r * Panel::kColumns);
    });
  }
};

/// A panel's sums, as integers. The depth in parts, so short that rows pass over one in the first-level
/// cache, and with few rows so much shorter that the strips are streams of memory side by side.
/// @param x of row 0, without its header
template <class Bytes>
void take_int8_panel(const PanelProduct& p, const std::byte* x, std::size_t strip_bytes) {
  using Block = Int8Block<Bytes>;
  const std::size_t steps = p.depth / 4, most = Block::steps_of(p.rows);
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t first = 0; first < steps; first += most) {
    const std::size_t count = most < steps - first ? most : steps - first;
    const std::size_t bytes = count * Panel::kStrip * 4;
    for (std::size_t s = 0; s < kStrips; ++s) {
      const std::byte* block = strips[s] + first * Panel::kStrip * 4;
      const Block work{
          x + first * Bytes::kXBytes, p.row_bytes, block, count, first == 0 ? Begin::zero : Begin::stored,
          p.y + s * Panel::kStrip};
      const std::byte* behind = first + count < steps ? block + bytes : strips[s + kStrips];
      for_row_groups_of_block<Block::kRows>(p.rows, behind, bytes, count / Block::kTurn, work);
    }
  }
}

}  // namespace mmbatch::MMBATCH_ISA
