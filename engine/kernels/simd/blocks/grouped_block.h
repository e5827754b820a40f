#pragma once

// Products of bytes and bytes in groups, each with its scale. Rows are signed; weights have no sign.

#include "engine/kernels/simd/blocks/grouped_codes.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || !defined(__SSSE3__)
/// Whether one instruction (or, in portable code, the only way) adds four products of bytes of any size.
constexpr bool kAnyBytes = true;
#else
constexpr bool kAnyBytes = false;
#endif

/// sum + four products, of weights in two steps of four inputs and their activations.
/// @tparam wide weights are up to 255, of which 128 is taken off: else they are below 64
template <bool wide>
struct GroupedBytes {
  /// Whether zero is taken off here: else it is in the sums that a group begins with.
  static constexpr bool kSigned = wide && !kAnyBytes;

  using Weights = TwoSteps;
  MMBATCH_INLINE Weights ready(Weights w) {
    if constexpr (kSigned) {
      for (IntRegister& of : w.of) of = of ^ static_cast<int>(0x80808080u);
    }
    return w;
  }

#if defined(__AVX512VNNI__)
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x, IntRegister next) {
    const __m512i first = _mm512_dpbusd_epi32((__m512i)sum, (__m512i)w.of[0], (__m512i)x);
    return (IntRegister)_mm512_dpbusd_epi32(first, (__m512i)w.of[1], (__m512i)next);
  }
#elif defined(__AVXVNNI__)
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x, IntRegister next) {
    const __m256i first = _mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w.of[0], (__m256i)x);
    return (IntRegister)_mm256_dpbusd_avx_epi32(first, (__m256i)w.of[1], (__m256i)next);
  }
#elif defined(__AVX512BW__)
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x, IntRegister next) {
    const __m512i ones = _mm512_set1_epi16(1);
    if constexpr (wide)
      return sum + (IntRegister)_mm512_madd_epi16(products(w.of[0], x), ones) +
             (IntRegister)_mm512_madd_epi16(products(w.of[1], next), ones);
    const __m512i both = _mm512_add_epi16(_mm512_maddubs_epi16((__m512i)w.of[0], (__m512i)x),
                                          _mm512_maddubs_epi16((__m512i)w.of[1], (__m512i)next));
    return sum + (IntRegister)_mm512_madd_epi16(both, ones);
  }
  /// Of two neighbours each: at most 2 · 128 · 127, which sixteen bits hold.
  MMBATCH_INLINE __m512i products(IntRegister w, IntRegister x) {
    const __mmask64 negative = _mm512_movepi8_mask((__m512i)w);
    const __m512i turned = _mm512_mask_sub_epi8((__m512i)x, negative, _mm512_setzero_si512(), (__m512i)x);
    return _mm512_maddubs_epi16(_mm512_abs_epi8((__m512i)w), turned);
  }
#elif defined(__AVX2__)
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x, IntRegister next) {
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (wide)
      return sum + (IntRegister)_mm256_madd_epi16(products(w.of[0], x), ones) +
             (IntRegister)_mm256_madd_epi16(products(w.of[1], next), ones);
    const __m256i both = _mm256_add_epi16(_mm256_maddubs_epi16((__m256i)w.of[0], (__m256i)x),
                                          _mm256_maddubs_epi16((__m256i)w.of[1], (__m256i)next));
    return sum + (IntRegister)_mm256_madd_epi16(both, ones);
  }
  MMBATCH_INLINE __m256i products(IntRegister w, IntRegister x) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)w), _mm256_sign_epi8((__m256i)x, (__m256i)w));
  }
#elif defined(__SSSE3__)
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x, IntRegister next) {
    const __m128i ones = _mm_set1_epi16(1);
    if constexpr (wide)
      return sum + (IntRegister)_mm_madd_epi16(products(w.of[0], x), ones) +
             (IntRegister)_mm_madd_epi16(products(w.of[1], next), ones);
    const __m128i both = _mm_add_epi16(_mm_maddubs_epi16((__m128i)w.of[0], (__m128i)x),
                                       _mm_maddubs_epi16((__m128i)w.of[1], (__m128i)next));
    return sum + (IntRegister)_mm_madd_epi16(both, ones);
  }
  MMBATCH_INLINE __m128i products(IntRegister w, IntRegister x) {
    return _mm_maddubs_epi16(_mm_abs_epi8((__m128i)w), _mm_sign_epi8((__m128i)x, (__m128i)w));
  }
#else
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x, IntRegister next) {
    for (int i = 0; i < 4; ++i) {
      sum = sum + ((w.of[0] >> (8 * i)) & 255) * ((x << (24 - 8 * i)) >> 24);
      sum = sum + ((w.of[1] >> (8 * i)) & 255) * ((next << (24 - 8 * i)) >> 24);
    }
    return sum;
  }
#endif
};

/// What a block's weights are: codes, in units, and scales as floats.
struct BlockUnits {
  const std::byte* codes;
  std::size_t count;
  std::size_t groups;       // of 32 inputs, in a unit
  std::size_t unit_bytes;   // from one unit to the next
  std::size_t column_step;  // bytes from a register of columns to the next
  const float* scales;      // of every group kLanes
  const float* floors;
  std::size_t scale_step;  // floats, as column_step
};

/// y[all rows] (+)= x · a block of the depth, for V strips; V is 1 but with AVX-512. Codes says how weights
/// are stored where rows meet them.
template <class Codes, class Kind, std::size_t V>
struct GroupedBlock {
  using Bytes = GroupedBytes<Kind::wide>;
  static constexpr std::size_t halves = Kind::halves;
  static constexpr bool floors = Kind::floors;
  static constexpr std::size_t kSide = sizeof(GroupedRow::Side);
  static constexpr std::size_t kRegistersOfColumns = V * Panel::kStrip / kRegisterLanes;

  const PanelProduct& p;
  const GroupedPanel& g;
  BlockUnits units;
  std::size_t first_group;  // of 32 inputs
  Begin begin;
  float* y;

  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    constexpr std::size_t C = kRegistersOfColumns < 2 ? kRegistersOfColumns : 2;
    for (std::size_t c = 0; c < kRegistersOfColumns; c += C) {
      columns<R, C>(first, c, fetch);
      fetch.lines = 0;
    }
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, Fetch fetch) const {
    constexpr bool in_registers = kRegisters == 32 || 2 * R * C + 2 * C + 3 <= kRegisters;
    constexpr std::size_t kSteps = 8 / halves;  // of four inputs, with one scale
    const std::byte* row = p.x + first * p.row_bytes;
    auto x = RowWords<R>::of(row + first_group * Panel::kGroup, p.row_bytes);
    auto side = RowWords<R>::of(row + p.depth + first_group * kSide, p.row_bytes);
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
    const std::byte* w = units.codes + column * units.column_step;
    const float* scales = units.scales + column * units.scale_step;
    const float* minimums = units.floors + column * units.scale_step;
    const std::size_t groups = units.count * units.groups;
    for (std::size_t group = 0, in_unit = 0; group < groups; ++group, w += Codes::kGroupBytes) {
      if (in_unit++ == units.groups) {
        in_unit = 1;
        w += units.unit_bytes - units.groups * Codes::kGroupBytes;
      }
      Fetch::turn(fetch, group);
      MMBATCH_UNROLLED(halves, half) {
        constexpr std::size_t kMinus = halves == 1 ? 4 : 12 + 4 * half;
        IntRegister part[R][C];
        MMBATCH_UNROLLED(R, r) {
          IntRegister start{};
          if constexpr (Kind::zero && !Bytes::kSigned)
            start = splat_four_bytes(side.at(r, kMinus)) << static_cast<int>(g.zero_bits);
          MMBATCH_UNROLLED(C, c) {
            part[r][c] = start;
          });
        });
        MMBATCH_UNROLLED(kSteps / 2, step) {
          constexpr std::size_t kStep = half * kSteps + 2 * step;
          typename Bytes::Weights weights[C];
          MMBATCH_UNROLLED(C, c) {
            weights[c] = Bytes::ready(Codes::template two_steps<kStep>(g, w + c * units.column_step));
          });
          MMBATCH_UNROLLED(R, r) {
            const IntRegister front = splat_four_bytes(x.at(r, 4 * kStep));
            const IntRegister back = splat_four_bytes(x.at(r, 4 * kStep + 4));
            MMBATCH_UNROLLED(C, c) {
              part[r][c] = kept(Bytes::add(part[r][c], weights[c], front, back));
            });
          });
        });
        FloatRegister scale[C], minimum[C];
        MMBATCH_UNROLLED(C, c) {
          const std::size_t at = half * kLanes + c * units.scale_step;
          scale[c] = load_register<FloatRegister>(scales + at);
          if constexpr (floors) minimum[c] = load_register<FloatRegister>(minimums + at);
        });
        MMBATCH_UNROLLED(R, r) {
          const FloatRegister of_row = splat_register(side.at(r, 0));
          FloatRegister sum_of_row{};
          if constexpr (floors) {
            sum_of_row = splat_register(side.at(r, 8));
            if constexpr (halves == 2) sum_of_row = to_floats(-splat_four_bytes(side.at(r, kMinus))) * of_row;
          }
          MMBATCH_UNROLLED(C, c) {
            const FloatRegister added = to_floats(part[r][c]) * of_row * scale[c];
            float* at = to + r * Panel::kColumns + c * kRegisterLanes;
            FloatRegister sum =
                in_registers ? sums[in_registers ? r : 0][c] : load_register<FloatRegister>(at);
            sum = sum + added;
            if constexpr (floors) sum = sum + minimum[c] * sum_of_row;
            if constexpr (in_registers)
              sums[r][c] = sum;
            else
              store_register(at, sum);
          });
        });
      });
      x.move(Panel::kGroup);
      side.move(kSide);
      scales += halves * kLanes;
      minimums += halves * kLanes;
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

}  // namespace mmbatch::MMBATCH_ISA
