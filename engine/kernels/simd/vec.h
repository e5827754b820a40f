#pragma once

// Sixteen floats at a time, in the compiler's own vector type: one register with AVX-512, two with AVX2, four
// without either. Only for files that are compiled once for each instruction set; no standard containers
// here, or their inline functions would be compiled with instructions that another machine lacks.

#include <cstddef>
#include <cstdint>

#ifndef MMBATCH_ISA
#error "MMBATCH_ISA names the namespace of the instruction set, see CMakeLists.txt"
#endif

#define MMBATCH_INLINE static inline __attribute__((always_inline))

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kLanes = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef std::int32_t Ints __attribute__((vector_size(64)));
typedef std::uint32_t Words __attribute__((vector_size(64)));  // sums of them may overflow

MMBATCH_INLINE Floats load(const float* p) {
  Floats v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
MMBATCH_INLINE void store(float* p, Floats v) {
  __builtin_memcpy(p, &v, sizeof(v));
}
MMBATCH_INLINE Floats splat(float x) {
  return x - Floats{};
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

/// a where all bits of a lane of `mask` are set, b where none is.
MMBATCH_INLINE Floats chosen(Ints mask, Floats a, Floats b) {
#if defined(__AVX512F__)
  return mask ? a : b;
#else  // of which GCC makes a branch for each lane where the vectors are several registers
  return (Floats)(((Ints)a & mask) | ((Ints)b & ~mask));
#endif
}

MMBATCH_INLINE Floats max(Floats a, Floats b) {
  return chosen(a > b, a, b);
}
MMBATCH_INLINE Floats min(Floats a, Floats b) {
  return chosen(a < b, a, b);
}

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

#if defined(__AVX512F__)
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

MMBATCH_INLINE float sum(Floats v) {
  Quarter part[4];
  __builtin_memcpy(part, &v, sizeof(v));
  const Quarter lanes = (part[0] + part[2]) + (part[1] + part[3]);
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}
MMBATCH_INLINE float max_lane(Floats v) {
  const auto larger = [](auto a, auto b) { return a > b ? a : b; };
  Quarter part[4];
  __builtin_memcpy(part, &v, sizeof(v));
  const Quarter lanes = larger(larger(part[0], part[2]), larger(part[1], part[3]));
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
  const Ints whole = __builtin_convertvector(parts.n, Ints);
  const Ints half = whole >> 1;
  const Ints first = (half + 127) << 23;
  const Ints second = (whole - half + 127) << 23;
  return chosen(x < splat(kExpLow), Floats{}, parts.fraction * (Floats)first * (Floats)second);
}

/// exp() for x ≤ 0, as softmax needs it: less work, for n ≥ -126 is simply added to the exponent.
MMBATCH_INLINE Floats exp_of_negative(Floats x) {
  const ExpParts parts = exp_parts(max(x, splat(kExpLow)));
  const Floats scaled = (Floats)((Words)parts.fraction + ((Words)parts.shifted << 23));
  return chosen(x < splat(kExpLow), Floats{}, scaled);
}

MMBATCH_INLINE Floats tanh(Floats x) {
  const Floats bounded = min(max(x, splat(-15.0f)), splat(15.0f));
  const Floats e = exp(bounded * 2.0f);
  const Floats by_exp = (e - 1.0f) / (e + 1.0f);
  // Near zero e - 1 cancels: the series instead.
  const Floats square = bounded * bounded;
  Floats series = splat(-17.0f / 315.0f);
  series = series * square + 2.0f / 15.0f;
  series = series * square - 1.0f / 3.0f;
  series = series * square * bounded + bounded;
  return chosen(square < splat(0.04f), series, by_exp);
}

/// Error function: series below 0.5, else the approximation 7.1.26 of Abramowitz and Stegun's handbook
/// (absolute error below 1.5e-7).
MMBATCH_INLINE Floats erf(Floats x) {
  const Floats positive = chosen(x < Floats{}, -x, x);
  const Floats t = 1.0f / (positive * 0.3275911f + 1.0f);
  Floats p = splat(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Floats far = 1.0f - p * t * exp(-positive * positive);
  const Floats square = x * x;
  Floats series = splat(-1.0f / 1320.0f);
  series = series * square + 1.0f / 216.0f;
  series = series * square - 1.0f / 42.0f;
  series = series * square + 1.0f / 10.0f;
  series = series * square - 1.0f / 3.0f;
  series = (series * square + 1.0f) * x * 1.1283791671f;
  const Floats signed_far = chosen(x < Floats{}, -far, far);
  return chosen(positive < splat(0.5f), series, signed_far);
}

}  // namespace mmbatch::MMBATCH_ISA
