#pragma once

// int4 products without AVX-512 VNNI. A half byte plus 8 is at most 15: as many products of it with an int8
// as a group gives each sixteen bits, 2 · 8 of at most 15 · 127, add up in them.

#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

#if defined(__SSE4_1__) && !defined(__AVX512VNNI__)
#define MMBATCH_INT4_BLOCKS
/// How half bytes and bytes are multiplied: sums(s, w, x) adds products to s, which begins with zeros, and
/// whole(s) gives a group's sums as integers.
struct HalfBytes {
#if defined(__AVXVNNI__)
  MMBATCH_INLINE IntRegister sums(IntRegister s, IntRegister w, IntRegister x) {
    return (IntRegister)_mm256_dpbusd_avx_epi32((__m256i)s, (__m256i)w, (__m256i)x);
  }
  MMBATCH_INLINE IntRegister whole(IntRegister s) {
    return s;
  }
#elif defined(__AVX512BW__)
  MMBATCH_INLINE IntRegister sums(IntRegister s, IntRegister w, IntRegister x) {
    return (IntRegister)_mm512_add_epi16((__m512i)s, _mm512_maddubs_epi16((__m512i)w, (__m512i)x));
  }
  MMBATCH_INLINE IntRegister whole(IntRegister s) {
    return (IntRegister)_mm512_madd_epi16((__m512i)s, _mm512_set1_epi16(1));
  }
#elif defined(__AVX2__)
  MMBATCH_INLINE IntRegister sums(IntRegister s, IntRegister w, IntRegister x) {
    return (IntRegister)_mm256_add_epi16((__m256i)s, _mm256_maddubs_epi16((__m256i)w, (__m256i)x));
  }
  MMBATCH_INLINE IntRegister whole(IntRegister s) {
    return (IntRegister)_mm256_madd_epi16((__m256i)s, _mm256_set1_epi16(1));
  }
#else
  MMBATCH_INLINE IntRegister sums(IntRegister s, IntRegister w, IntRegister x) {
    return (IntRegister)_mm_add_epi16((__m128i)s, _mm_maddubs_epi16((__m128i)w, (__m128i)x));
  }
  MMBATCH_INLINE IntRegister whole(IntRegister s) {
    return (IntRegister)_mm_madd_epi16((__m128i)s, _mm_set1_epi16(1));
  }
#endif
};

/// y[all rows] (+)= x · some pairs of groups of a strip. y holds the sums from pair to pair but for few rows.
struct Int4Block {
  static constexpr std::size_t kEights = Panel::kGroup / 8;
  /// Of a part, at most, found by measurement: 1 or 9 KiB of weights.
  static constexpr std::size_t pairs_of(std::size_t rows) { return rows <= 8 ? 2 : 16; }
  static constexpr std::size_t kRows = kRegisters == 32 ? 12 : 4;

  const PanelProduct& p;
  std::size_t first_pair;
  std::size_t pairs;
  const std::byte* block;
  Begin begin;
  float* y;

  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    constexpr std::size_t C = kStripRegisters < 2 ? kStripRegisters : 2;
    for (std::size_t c = 0; c < kStripRegisters; c += C) {
      columns<R, C>(first, c, fetch);
      fetch.lines = 0;
    }
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, Fetch fetch) const {
    constexpr bool in_registers = 2 * R * C + 2 * C + 3 <= kRegisters;
    const std::byte* row = p.x + first * p.row_bytes + QuantizedRow::kHeaderBytes;
    auto x = RowWords<R>::of(row + first_pair * 2 * Panel::kGroup, p.row_bytes);
    auto offsets = RowWords<R>::of(row + p.depth + first_pair * 2 * sizeof(std::int32_t), p.row_bytes);
    float* to = y + first * Panel::kColumns + column * kRegisterLanes;
    FloatRegister sums[in_registers ? R : 1][C] = {};
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(C, c) {
        float* at = to + r * Panel::kColumns + c * kRegisterLanes;
        if constexpr (in_registers) {
          if (begin == Begin::stored) sums[r][c] = load_register<FloatRegister>(at);
        } else {
          if (begin == Begin::zero) store_register(at, FloatRegister{});
        }
      });
    });
    const std::byte* w = block;
    for (std::size_t turn = 0; turn < pairs; ++turn, w += Panel::kGroupPair) {
      Fetch::turn(fetch, turn);
      MMBATCH_UNROLLED(2, half) {
        const std::byte* values = w + half * Panel::kGroupValues + column * kRegisterBytes;
        IntRegister part[R][C] = {};
        MMBATCH_UNROLLED(kEights, i) {
          IntRegister low[C], high[C];
          MMBATCH_UNROLLED(C, c) {
            const auto both = load_register<IntRegister>(values + i * 64 + c * kRegisterBytes);
            low[c] = both & 0x0f0f0f0f;
            high[c] = (both >> 4) & 0x0f0f0f0f;
          });
          MMBATCH_UNROLLED(R, r) {
            const IntRegister front = splat_four_bytes(x.at(r, 8 * i));
            MMBATCH_UNROLLED(C, c) {
              part[r][c] = kept(HalfBytes::sums(part[r][c], low[c], front));
            });
            const IntRegister back = splat_four_bytes(x.at(r, 8 * i + 4));
            MMBATCH_UNROLLED(C, c) {
              part[r][c] = kept(HalfBytes::sums(part[r][c], high[c], back));
            });
          });
        });
        FloatRegister scales[C];
        MMBATCH_UNROLLED(C, c) {
          scales[c] = load_bf16_register(w + 2 * Panel::kGroupValues + half * Panel::kStrip * 2 +
                                         (column + c) * kRegisterLanes * 2);
        });
        MMBATCH_UNROLLED(R, r) {
          const IntRegister offset = splat_four_bytes(offsets.at(r, half * sizeof(std::int32_t)));
          MMBATCH_UNROLLED(C, c) {
            const FloatRegister group = to_floats(HalfBytes::whole(part[r][c]) + offset);
            if constexpr (in_registers) {
              sums[r][c] = sums[r][c] + group * scales[c];
            } else {
              float* at = to + r * Panel::kColumns + c * kRegisterLanes;
              store_register(at, load_register<FloatRegister>(at) + group * scales[c]);
            }
          });
        });
        x.move(Panel::kGroup);
      });
      offsets.move(2 * sizeof(std::int32_t));
    }
    if constexpr (in_registers) {
      MMBATCH_UNROLLED(R, r) {
        MMBATCH_UNROLLED(C, c) {
          store_register(to + r * Panel::kColumns + c * kRegisterLanes, sums[r][c]);
        });
      });
    }
  }
};

/// A panel's sums, before they are scaled by the rows' scales. In parts, see take_int8_panel().
MMBATCH_INLINE void take_int4_panel(const PanelProduct& p) {
  const std::size_t pairs = p.depth / (2 * Panel::kGroup), strip_bytes = pairs * Panel::kGroupPair;
  const std::size_t most = Int4Block::pairs_of(p.rows);
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t first = 0; first < pairs; first += most) {
    const std::size_t count = most < pairs - first ? most : pairs - first;
    const std::size_t bytes = count * Panel::kGroupPair;
    for (std::size_t s = 0; s < kStrips; ++s) {
      const std::byte* block = strips[s] + first * Panel::kGroupPair;
      const Int4Block work{
          p, first, count, block, first == 0 ? Begin::zero : Begin::stored, p.y + s * Panel::kStrip};
      const std::byte* behind = first + count < pairs ? block + bytes : strips[s + kStrips];
      for_row_groups_of_block<Int4Block::kRows>(p.rows, behind, bytes, count, work);
    }
  }
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
