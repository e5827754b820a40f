#pragma once

// Products of narrow numbers, sixteen 32-bit lanes at a time: bfloat16 pairs and bytes by four.

#include <immintrin.h>

#include "engine/kernels/simd/vec.h"

namespace mmbatch::MMBATCH_ISA {

/// Rows that are worked on together: as many sums as the registers hold beside what they are made of.
#if defined(__AVX512F__)
constexpr std::size_t kDotRows = 16;
constexpr std::size_t kDotStrips = 2, kDotRowsOfStrips = 12;  // where there are more rows
#else
constexpr std::size_t kDotRows = 4;
constexpr std::size_t kDotStrips = 1, kDotRowsOfStrips = kDotRows;
#endif

/// Whether rows that are quantized for int8 weights hold int16: without an instruction that adds four
/// products of bytes, the bytes of both sides are widened.
#if defined(__SSE4_1__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)
#define MMBATCH_WIDENED_BYTES
constexpr std::size_t kInt8Bytes = 2;
#else
constexpr std::size_t kInt8Bytes = 1;
#endif

/// Bytes of an activation for bfloat16 weights: where nothing multiplies bfloat16, rows hold floats that were
/// rounded to it.
#if defined(__AVX512BF16__)
constexpr std::size_t kBf16Bytes = 2;
#else
constexpr std::size_t kBf16Bytes = 4;
#endif

MMBATCH_INLINE Ints load_ints(const void* p) {
  Ints v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
MMBATCH_INLINE void store_ints(void* p, Ints v) {
  __builtin_memcpy(p, &v, sizeof(v));
}
/// The four bytes at p in every lane.
MMBATCH_INLINE Ints splat_ints(const void* p) {
  std::int32_t x;
  __builtin_memcpy(&x, p, sizeof(x));
  return x - Ints{};
}

/// The lower and upper bfloat16 of each lane as floats.
MMBATCH_INLINE Floats low_half(Ints pairs) {
  return (Floats)(pairs << 16);
}
MMBATCH_INLINE Floats high_half(Ints pairs) {
  return (Floats)(pairs & -65536);
}

#if defined(__AVX512BF16__)
/// sum + w[0] · x[0] + w[1] · x[1] over pairs of bfloat16.
MMBATCH_INLINE Floats dot2(Floats sum, Ints w, Ints x) {
  return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)w, (__m512bh)x);
}
#endif

/// sum + Σ w[i] · x[i] over four bytes, w unsigned and x signed; exact.
MMBATCH_INLINE Ints dot4(Ints sum, Ints w, Ints x) {
#if defined(__AVX512VNNI__)
  return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
#else
  for (int i = 0; i < 4; ++i) sum = sum + ((w >> (8 * i)) & 255) * ((x << (24 - 8 * i)) >> 24);
  return sum;
#endif
}

/// Numbers of half and a quarter of the bits, as many as lanes.
typedef std::int16_t Shorts __attribute__((vector_size(32)));
typedef std::uint16_t Halves __attribute__((vector_size(32)));
typedef std::int8_t Bytes __attribute__((vector_size(16)));

/// The low halves of sixteen integers.
MMBATCH_INLINE void store_halves(std::byte* p, Ints v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16((__m512i)v));
#else
  const Shorts narrow = __builtin_convertvector(v, Shorts);
  __builtin_memcpy(p, &narrow, sizeof(narrow));
#endif
}

/// Sixteen floats as bfloat16, rounded to nearest even, in the lower halves.
MMBATCH_INLINE Ints round_to_bf16(Floats v) {
#if defined(__AVX512BF16__)
  return (Ints)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  const Words bits = (Words)v;
  const Ints rounded = (Ints)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  return (Ints)chosen(v == v, (Floats)rounded,
                      (Floats)(Ints{} + 0x7fc0));  // a NaN's bits may round to those of zero
#endif
}

/// Sixteen floats as bfloat16, rounded to nearest even.
MMBATCH_INLINE void store_bf16(std::byte* p, Floats v) {
#if defined(__AVX512BF16__)
  const __m256bh narrow = _mm512_cvtneps_pbh((__m512)v);
  __builtin_memcpy(p, &narrow, sizeof(narrow));
#else
  store_halves(p, round_to_bf16(v));
#endif
}

#if defined(__AVX512BF16__)
/// Thirty-two floats in a row as sixteen pairs of bfloat16.
MMBATCH_INLINE Ints bf16_pairs(Floats first, Floats second) {
  return (Ints)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}
#endif

/// Sixteen bfloat16 in the lower halves.
MMBATCH_INLINE Ints load_halves(const std::byte* p) {
#if defined(__AVX512F__)
  return (Ints)_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#else
  Halves narrow;
  __builtin_memcpy(&narrow, p, sizeof(narrow));
  return __builtin_convertvector(narrow, Ints);
#endif
}

/// Sixteen bfloat16 as floats.
MMBATCH_INLINE Floats load_bf16(const std::byte* p) {
  return (Floats)(load_halves(p) << 16);
}

/// Sixteen signed bytes as floats.
MMBATCH_INLINE Floats load_int8(const std::byte* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
#else
  Bytes bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return __builtin_convertvector(__builtin_convertvector(bytes, Ints), Floats);
#endif
}

/// The low bytes of sixteen integers.
MMBATCH_INLINE void store_int8(std::byte* p, Ints v) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)v));
#else
  const Bytes bytes = __builtin_convertvector(v, Bytes);
  __builtin_memcpy(p, &bytes, sizeof(bytes));
#endif
}

}  // namespace mmbatch::MMBATCH_ISA
