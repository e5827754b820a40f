#pragma once

// One register of the instruction set, for loops that have to stay within its sixteen (AVX-512: 32)
// registers: of Floats and Ints, which are several of them without AVX-512, the compiler keeps some in
// memory.

#include "engine/kernels/simd/dot.h"

namespace mmbatch::MMBATCH_ISA {

template <class Register>
MMBATCH_INLINE Register load_register(const void* p) {
  return load_vector<Register>(p);
}
template <class Register>
MMBATCH_INLINE void store_register(void* p, Register v) {
  store_vector(p, v);
}
/// The float at p in every lane.
MMBATCH_INLINE FloatRegister splat_register(const void* p) {
  float x;
  __builtin_memcpy(&x, p, sizeof(x));
  return x - FloatRegister{};
}
/// The four bytes at p in every lane.
MMBATCH_INLINE IntRegister splat_four_bytes(const void* p) {
  std::int32_t x;
  __builtin_memcpy(&x, p, sizeof(x));
  return x - IntRegister{};
}

#if !defined(__AVX512F__)  // with which it is vec.h's
MMBATCH_INLINE FloatRegister to_floats(IntRegister v) {
  return __builtin_convertvector(v, FloatRegister);
}
#endif

/// sum + w[0] · x[0] + w[1] · x[1] over pairs of int16; exact.
MMBATCH_INLINE IntRegister add_pairs(IntRegister sum, IntRegister w, IntRegister x) {
#if defined(__AVX512VNNI__)
  return (IntRegister)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
#elif defined(__AVX512BW__)
  return sum + (IntRegister)_mm512_madd_epi16((__m512i)w, (__m512i)x);
#elif defined(__AVXVNNI__)
  return (IntRegister)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
#elif defined(__AVX2__)
  return sum + (IntRegister)_mm256_madd_epi16((__m256i)w, (__m256i)x);
#else
  return sum + (IntRegister)_mm_madd_epi16((__m128i)w, (__m128i)x);
#endif
}

/// a[first], a[first + 2], …, b[first], …
template <std::size_t first>
MMBATCH_INLINE IntRegister every_other(IntRegister a, IntRegister b) {
  IntRegister lanes;
#ifdef __clang__  // which has shuffles by constants alone; it builds the fuzz targets
  for (std::size_t i = 0; i < kRegisterLanes; ++i) {
    const IntRegister& from = i < kRegisterLanes / 2 ? a : b;
    lanes[i] = from[2 * i % kRegisterLanes + first];
  }
  return lanes;
#else
  for (int i = 0; i < static_cast<int>(kRegisterLanes); ++i) lanes[i] = 2 * i + static_cast<int>(first);
  return __builtin_shuffle(a, b, lanes);
#endif
}

/// a[0] + a[1], a[2] + a[3], …, b[0] + b[1], …
MMBATCH_INLINE IntRegister sums_of_neighbours(IntRegister a, IntRegister b) {
  return every_other<0>(a, b) + every_other<1>(a, b);
}

/// Calls body.operator()<i>() for i from 0 to N - 1. Loops would be unrolled too late: until then, arrays
/// with variable indices have addresses, and what has an address goes to memory.
template <std::size_t N, class Body>
MMBATCH_INLINE void unrolled(const Body& body) {
  if constexpr (N > 0) {
    unrolled<N - 1>(body);
    body.template operator()<N - 1>();
  }
}
#define MMBATCH_UNROLLED(N, i) unrolled<N>([&]<std::size_t i>() __attribute__((always_inline))

/// v in a register, now: the compiler must not put off sums, whose terms would take registers meanwhile.
template <class Register>
MMBATCH_INLINE Register kept(Register v) {
  if constexpr (kInHalves<Register>) {
    return {kept(v.front), kept(v.back)};
  } else {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__x86_64__)
    asm("" : "+x"(v));
#endif
    return v;
  }
}

/// sums[r][c] = add(sums[r][c], weights_of<c>(), row_of<r>()) for all of them. What there are fewer of, rows
/// or weights, stays in registers meanwhile.
template <std::size_t R, std::size_t C, class Sum, class WeightsOf, class RowOf, class Add>
__attribute__((always_inline)) inline void add_each(Sum (&sums)[R][C], const WeightsOf& weights_of,
                                                    const RowOf& row_of, const Add& add) {
  if constexpr (R < C) {
    Sum row[R];
    MMBATCH_UNROLLED(R, r) {
      row[r] = row_of.template operator()<r>();
    });
    MMBATCH_UNROLLED(C, c) {
      const auto weights = weights_of.template operator()<c>();
      MMBATCH_UNROLLED(R, r) {
        sums[r][c] = kept(add(sums[r][c], weights, row[r]));
      });
    });
  } else {
    decltype(weights_of.template operator()<0>()) weights[C];
    MMBATCH_UNROLLED(C, c) {
      weights[c] = weights_of.template operator()<c>();
    });
    MMBATCH_UNROLLED(R, r) {
      const Sum row = row_of.template operator()<r>();
      MMBATCH_UNROLLED(C, c) {
        sums[r][c] = kept(add(sums[r][c], weights[c], row));
      });
    });
  }
}

/// As many bfloat16 as lanes, as floats.
MMBATCH_INLINE FloatRegister load_bf16_register(const std::byte* p) {
  return (FloatRegister)(widened_halves(p) << 16);
}

/// As many pairs of bytes as lanes, in the lower halves, with their sign.
MMBATCH_INLINE IntRegister load_byte_pairs(const std::byte* p) {
#if defined(__AVX512F__)
  return (IntRegister)_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__AVX2__)
  return (IntRegister)_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__SSE4_1__)
  return (IntRegister)_mm_cvtepi16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#else
  std::int16_t pairs[kRegisterLanes];
  __builtin_memcpy(pairs, p, sizeof(pairs));
  IntRegister v;
  for (std::size_t i = 0; i < kRegisterLanes; ++i) v[i] = pairs[i];
  return v;
#endif
}

/// The largest power of two of registers of columns, at most `most`, whose sums for R rows fit, beside them
/// the weights of all or the activations of all rows, one of the other, and a product.
/// @param of_weights registers that the weights of a register of columns take; with two of them a product
/// takes another one
constexpr std::size_t registers_of_columns(std::size_t R, std::size_t most, std::size_t of_weights = 1) {
  const auto held = [&](std::size_t C) { return R < C ? R + of_weights : of_weights * C + 1; };
  std::size_t C = most;
  while (C > 1 && R * C + held(C) + of_weights > kRegisters) C /= 2;
  return C;
}

}  // namespace mmbatch::MMBATCH_ISA
