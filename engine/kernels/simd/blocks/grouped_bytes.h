#pragma once

// Products of bytes and bytes of groups. Rows are signed; weights have no sign.

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

/// Where in a GroupedRow::Side the sum of the inputs is, taken with a minus: of 32, or of one of two halves.
constexpr std::size_t minus_offset(std::size_t halves, std::size_t half) {
  return halves == 1 ? 4 : 12 + 4 * half;
}

/// What a group's sums begin with: what zero, which is taken off each code, takes off the sum of its
/// products, unless GroupedBytes takes it off itself.
template <class Kind, std::size_t half, std::size_t R, std::size_t C>
MMBATCH_INLINE void begin_group(const GroupedPanel& g, const RowWords<R>& side, IntRegister (&part)[R][C]) {
  MMBATCH_UNROLLED(R, r) {
    IntRegister start{};
    if constexpr (Kind::zero && !GroupedBytes<Kind::wide>::kSigned)
      start = splat_four_bytes(side.at(r, minus_offset(Kind::halves, half))) << static_cast<int>(g.zero_bits);
    MMBATCH_UNROLLED(C, c) {
      part[r][c] = start;
    });
  });
}

}  // namespace mmbatch::MMBATCH_ISA
