#pragma once

// Products of narrow numbers, sixteen 32-bit lanes at a time: bfloat16 pairs and bytes by four.

#include "engine/kernels/simd/vec.h"

namespace mmbatch::MMBATCH_ISA {

/// Rows that are worked on together: as many sums as the registers hold beside what they are made of.
#if defined(__AVX512F__)
constexpr std::size_t kDotRows = 16;
constexpr std::size_t kDotStrips = 2;  // where there are more rows
#else
constexpr std::size_t kDotRows = 4;
constexpr std::size_t kDotStrips = 1;
#endif

/// How bytes are multiplied without an instruction that adds four products of them to a sum, see
/// int8_words.h: AVX2 moves the signs of weights; others widen weights, and the rows that are quantized for
/// them.
#if defined(__SSE4_1__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)
#if defined(__AVX2__) && !defined(__AVX512BW__)
#define MMBATCH_SIGNED_BYTES
#else
#define MMBATCH_WIDENED_BYTES
#endif
#endif
#if defined(MMBATCH_WIDENED_BYTES)
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

/// See SimdKernels.
#if defined(__AMX_TILE__)
constexpr std::size_t kPanelRows = 512;
#else
constexpr std::size_t kPanelRows = 128;
#endif

MMBATCH_INLINE Ints load_ints(const void* p) {
  return load_vector<Ints>(p);
}
MMBATCH_INLINE void store_ints(void* p, Ints v) {
  store_vector(p, v);
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

/// The low halves of sixteen integers.
MMBATCH_INLINE void store_halves(std::byte* p, Ints v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16((__m512i)v));
#else
  const Ints low = (v << 16) >> 16;
#if defined(__AVX2__)
  const __m256i packed = _mm256_packs_epi32((__m256i)low.front, (__m256i)low.back);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
#else
  auto* to = reinterpret_cast<__m128i*>(p);
  _mm_storeu_si128(to, _mm_packs_epi32((__m128i)low.front.front, (__m128i)low.front.back));
  _mm_storeu_si128(to + 1, _mm_packs_epi32((__m128i)low.back.front, (__m128i)low.back.back));
#endif
#endif
}

/// The low halves of sixteen integers and of sixteen more, in this order.
MMBATCH_INLINE Ints joined_halves(Ints first, Ints second) {
#if defined(__AVX512BW__)
  alignas(64) static const std::int16_t kEven[2 * kLanes] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                                             22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42,
                                                             44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
  return (Ints)_mm512_permutex2var_epi16((__m512i)first, (__m512i)load_ints(kEven), (__m512i)second);
#else
  alignas(64) std::byte halves[sizeof(Ints)];
  store_halves(halves, first);
  store_halves(halves + sizeof(Ints) / 2, second);
  return load_ints(halves);
#endif
}

/// Sixteen floats as bfloat16, rounded to nearest even, in the lower halves.
MMBATCH_INLINE Ints round_to_bf16(Floats v) {
#if defined(__AVX512BF16__)
  return (Ints)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
  const Words bits = (Words)v;
  const Ints rounded = (Ints)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  return (Ints)chosen(is_number(v), (Floats)rounded,
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

/// As many halves as a register has lanes, widened with zeros.
MMBATCH_INLINE IntRegister widened_halves(const std::byte* p) {
#if defined(__AVX512F__)
  return (IntRegister)_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__AVX2__)
  return (IntRegister)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  return (IntRegister)_mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)),
                                         _mm_setzero_si128());
#endif
}

/// Sixteen bfloat16 in the lower halves.
MMBATCH_INLINE Ints load_halves(const std::byte* p) {
  return read_registers<Ints, 2>(p, [](const std::byte* some) { return widened_halves(some); });
}

/// Sixteen bfloat16 as floats.
MMBATCH_INLINE Floats load_bf16(const std::byte* p) {
  return (Floats)(load_halves(p) << 16);
}

/// Thirty-two signed bytes as halves.
MMBATCH_INLINE Ints halves_of_bytes(const std::byte* p) {
  return read_registers<Ints, 2>(p, [](const std::byte* some) {
#if defined(__AVX512BW__)
    return (IntRegister)_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(some)));
#elif defined(__AVX2__)
    return (IntRegister)_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(some)));
#else
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(some));
    return (IntRegister)_mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
#endif
  });
}

/// As many bytes as a register has lanes, with their sign.
MMBATCH_INLINE IntRegister widened_bytes(const std::byte* p) {
#if defined(__AVX512F__)
  return (IntRegister)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__AVX2__)
  return (IntRegister)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#else
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  const __m128i bytes = _mm_cvtsi32_si128(four), halves = _mm_unpacklo_epi8(bytes, bytes);
  return (IntRegister)_mm_unpacklo_epi16(halves, halves) >> 24;
#endif
}

/// Sixteen signed bytes as floats.
MMBATCH_INLINE Floats load_int8(const std::byte* p) {
  return to_floats(read_registers<Ints, 1>(p, [](const std::byte* some) { return widened_bytes(some); }));
}

}  // namespace mmbatch::MMBATCH_ISA
