#pragma once

// Sixteen floats at a time: one register with AVX-512, two with AVX2, four without either. Only for files
// that are compiled once for each instruction set; no standard containers here, or their inline functions
// would be compiled with instructions that another machine lacks.

#ifndef MMBATCH_ISA
#error "MMBATCH_ISA names the namespace of the instruction set, see CMakeLists.txt"
#endif

#include <immintrin.h>

#include "engine/kernels/simd/blocks/halves.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kLanes = 16;
#if defined(__AVX512F__)
template <class Register, class Lane>
using Sixteen = Register;
#elif defined(__AVX2__)
template <class Register, class Lane>
using Sixteen = Halves<Register, Lane>;
#else
template <class Register, class Lane>
using Sixteen = Halves<Halves<Register, Lane>, Lane>;
#endif
using Floats = Sixteen<FloatRegister, float>;
using Ints = Sixteen<IntRegister, std::int32_t>;
using Words = Sixteen<WordRegister, std::uint32_t>;  // sums of them may overflow
static_assert(sizeof(Floats) == kLanes * sizeof(float));

MMBATCH_INLINE Floats load(const float* p) {
  return load_vector<Floats>(p);
}
MMBATCH_INLINE void store(float* p, Floats v) {
  store_vector(p, v);
}
MMBATCH_INLINE Floats splat(float x) {
  return x - Floats{};
}

/// 0, 1, …, 15
MMBATCH_INLINE Ints lane_numbers() {
  alignas(64) static const std::int32_t numbers[kLanes] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                           8, 9, 10, 11, 12, 13, 14, 15};
  return load_vector<Ints>(numbers);
}

/// Whole numbers as floats, and floats as whole numbers, cut off.
MMBATCH_INLINE Floats to_floats(Ints v) {
  return by_registers<Floats>(v, [](IntRegister x) { return __builtin_convertvector(x, FloatRegister); });
}
MMBATCH_INLINE Ints to_ints(Floats v) {
  return by_registers<Ints>(v, [](FloatRegister x) { return __builtin_convertvector(x, IntRegister); });
}

/// The first n < 16 floats, zeros behind.
MMBATCH_INLINE Floats load_some(const float* p, std::size_t n) {
  alignas(64) float padded[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) padded[i] = p[i];
  return load(padded);
}
MMBATCH_INLINE void store_some(float* p, Floats v, std::size_t n) {
  alignas(64) float padded[kLanes];
  store(padded, v);
  for (std::size_t i = 0; i < n; ++i) p[i] = padded[i];
}

/// All bits of a lane where a > b, where a = b, and where it holds a number.
MMBATCH_INLINE Ints above(Floats a, Floats b) {
  return by_registers<Ints>(a, b, [](FloatRegister x, FloatRegister y) { return x > y; });
}
MMBATCH_INLINE Ints above(Ints a, Ints b) {
  return by_registers<Ints>(a, b, [](IntRegister x, IntRegister y) { return x > y; });
}
MMBATCH_INLINE Ints equal(Floats a, Floats b) {
  return by_registers<Ints>(a, b, [](FloatRegister x, FloatRegister y) { return x == y; });
}
MMBATCH_INLINE Ints is_number(Floats x) {
  return equal(x, x);
}

/// a where all bits of a lane of `mask` are set, b where none is.
MMBATCH_INLINE Floats chosen(Ints mask, Floats a, Floats b) {
#if defined(__AVX512F__)
  return mask ? a : b;
#else
  return (Floats)(((Ints)a & mask) | ((Ints)b & ~mask));
#endif
}

/// The larger and the smaller one; b where one of them is not a number.
MMBATCH_INLINE Floats max(Floats a, Floats b) {
  return by_registers<Floats>(a, b, [](FloatRegister x, FloatRegister y) { return x > y ? x : y; });
}
MMBATCH_INLINE Floats min(Floats a, Floats b) {
  return by_registers<Floats>(a, b, [](FloatRegister x, FloatRegister y) { return x < y ? x : y; });
}

#if defined(__AVX512F__)
/// Lane i gets lane from[i] of a and b, one after the other.
MMBATCH_INLINE Floats shuffled(Floats a, Floats b, Ints from) {
#ifdef __clang__  // which has shuffles by constants alone; it builds the fuzz targets
  Floats v;
  for (std::size_t i = 0; i < kLanes; ++i)
    v[i] = from[i] < static_cast<int>(kLanes) ? a[from[i]] : b[from[i] - static_cast<int>(kLanes)];
  return v;
#else
  return __builtin_shuffle(a, b, from);
#endif
}

/// Lane i gets lane i + width; what comes from beyond the end is not looked at.
template <int width>
MMBATCH_INLINE Floats shifted(Floats v) {
  Ints from;
  for (int i = 0; i < 16; ++i) from[i] = (i + width) % 16;
  return shuffled(v, v, from);
}

/// Sums and maxima of the lanes, in one fixed order: halves onto each other.
MMBATCH_INLINE float sum(Floats v) {
  v = v + shifted<8>(v);
  v = v + shifted<4>(v);
  v = v + shifted<2>(v);
  return (v + shifted<1>(v))[0];
}
MMBATCH_INLINE float max_lane(Floats v) {
  v = max(v, shifted<8>(v));
  v = max(v, shifted<4>(v));
  v = max(v, shifted<2>(v));
  return max(v, shifted<1>(v))[0];
}
#else
typedef float Quarter __attribute__((vector_size(16)));

/// Halves joined with each other, to four lanes.
template <class Vector, class Join>
MMBATCH_INLINE Quarter folded(const Vector& v, Join join) {
  if constexpr (kInHalves<Vector>) {
    return folded(by_registers<typename Vector::Half>(v.front, v.back, join), join);
  } else {
#if defined(__AVX2__)
    return join((Quarter)_mm256_castps256_ps128((__m256)v), (Quarter)_mm256_extractf128_ps((__m256)v, 1));
#else
    return v;
#endif
  }
}

MMBATCH_INLINE float sum(Floats v) {
  const Quarter lanes = folded(v, [](auto a, auto b) { return a + b; });
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}
MMBATCH_INLINE float max_lane(Floats v) {
  const auto larger = [](auto a, auto b) { return a > b ? a : b; };
  const Quarter lanes = folded(v, larger);
  return larger(larger(lanes[0], lanes[2]), larger(lanes[1], lanes[3]));
}
#endif

constexpr float kExpLow = -87.33654f;  // e^x below it is taken as 0

/// e^x as fraction · 2^n: the fraction lies in [0.7, 1.5].
struct ExpParts {
  Floats fraction;
  Floats shifted;  // n + 1.5 · 2²³, whose low bits are n
  Floats n;
};

/// Range reduction by ln 2 in two parts and the polynomial of the Cephes library (expf).
MMBATCH_INLINE ExpParts exp_parts(Floats x) {
  const Floats magic = splat(12582912.0f);  // 1.5 · 2²³: adding it rounds to an integer
  const Floats shifted = x * 1.44269504088896341f + magic;
  const Floats n = shifted - magic;
  Floats r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  Floats p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {p * (r * r) + r + 1.0f, shifted, n};
}

/// e^x to about 1 ulp for x in [-87.3, 88.7]; below it 0.
MMBATCH_INLINE Floats exp(Floats x) {
  const ExpParts parts = exp_parts(min(max(x, splat(kExpLow)), splat(88.72283f)));
  // 2^n in two factors, so that n = 128 does not overflow the exponent field.
  const Ints whole = to_ints(parts.n);
  const Ints half = whole >> 1;
  const Ints first = (half + 127) << 23;
  const Ints second = (whole - half + 127) << 23;
  return chosen(above(splat(kExpLow), x), Floats{}, parts.fraction * (Floats)first * (Floats)second);
}

/// exp() for x in [-87.3, 80]: less work, for n is simply added to the exponent.
MMBATCH_INLINE Floats exp_of_moderate(Floats x) {
  const ExpParts parts = exp_parts(x);
  return (Floats)((Words)parts.fraction + ((Words)parts.shifted << 23));
}

/// exp() for x ≤ 80, and 0 where it is smaller than floats are; what is no number stays none.
MMBATCH_INLINE Floats exp_or_zero(Floats x) {
  return chosen(above(splat(kExpLow), x), Floats{}, exp_of_moderate(max(splat(kExpLow), x)));
}

/// 1 / x to about 1 ulp for x in [1, 2¹²⁰], where divisions would be most of the time. A guess that is off by
/// a twentieth at most, the exponent negated and the fraction on a line, and Newton's method: a step of third
/// order, then one of second.
MMBATCH_INLINE Floats reciprocal(Floats x) {
  Floats r = (Floats)(0x7ef311c7 - (Words)x);
  const Floats left = 1.0f - x * r;
  r = r * (left * left + left) + r;
  return r * (1.0f - x * r) + r;
}

/// 1 / (1 + e^-x); below -80 as at -80, and 1 where x is not a number.
MMBATCH_INLINE Floats sigmoid(Floats x) {
  return reciprocal(exp_of_moderate(min(max(-x, splat(kExpLow)), splat(80.0f))) + 1.0f);
}

MMBATCH_INLINE Floats tanh(Floats x) {
  const Floats bounded = min(max(x, splat(-15.0f)), splat(15.0f));
  const Floats e = exp_of_moderate(bounded * 2.0f);
  const Floats by_exp = (e - 1.0f) * reciprocal(e + 1.0f);
  // Near zero e - 1 cancels: the series instead.
  const Floats square = bounded * bounded;
  Floats series = splat(-17.0f / 315.0f);
  series = series * square + 2.0f / 15.0f;
  series = series * square - 1.0f / 3.0f;
  series = series * square * bounded + bounded;
  return chosen(above(splat(0.04f), square), series, by_exp);
}

/// Error function: series below 0.5, else the approximation 7.1.26 of Abramowitz and Stegun's handbook
/// (absolute error below 1.5e-7).
MMBATCH_INLINE Floats erf(Floats x) {
  const Floats positive = chosen(above(Floats{}, x), -x, x);
  const Floats t = reciprocal(min(positive, splat(10.0f)) * 0.3275911f + 1.0f);
  Floats p = splat(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Floats far = 1.0f - p * t * exp_or_zero(-positive * positive);
  const Floats square = x * x;
  Floats series = splat(-1.0f / 1320.0f);
  series = series * square + 1.0f / 216.0f;
  series = series * square - 1.0f / 42.0f;
  series = series * square + 1.0f / 10.0f;
  series = series * square - 1.0f / 3.0f;
  series = (series * square + 1.0f) * x * 1.1283791671f;
  const Floats signed_far = chosen(above(Floats{}, x), -far, far);
  return chosen(above(splat(0.5f), positive), series, signed_far);
}

}  // namespace mmbatch::MMBATCH_ISA
