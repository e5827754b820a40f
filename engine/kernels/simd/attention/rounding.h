#pragma once

// Rows of floats as integers of sixteen bits with a scale each.

#include "engine/kernels/simd/attention/plain.h"

namespace mmbatch::MMBATCH_ISA {

/// The largest integers of weights and values: as fit a sum of kTile products.
constexpr std::int64_t kMostWeight = 8191, kMostValue = 4095;
static_assert(static_cast<std::int64_t>(kTile) * kMostWeight * kMostValue < std::int64_t{1} << 31);

/// The same of queries and keys, for sums of head_dim products.
MMBATCH_INLINE float largest_key(std::size_t head_dim) {
  const auto root = static_cast<std::int32_t>(__builtin_sqrtf(2147483000.0f / static_cast<float>(head_dim)));
  return static_cast<float>(root < 32767 ? root : 32767);
}

/// Integers next to x · factor, of magnitude below 2¹⁵, in the lower halves of the lanes. What stands in the
/// upper halves means nothing.
MMBATCH_INLINE Ints nearest(Floats x, float factor) {
  return (Ints)(x * factor + 12582912.0f);  // 1.5 · 2²³: what is added to it is rounded
}

/// The lower halves of both, lane by lane.
MMBATCH_INLINE Ints paired(Ints first, Ints second) {
  return (first & 0xffff) | second << 16;
}

/// Sixteen integers of a plain row from element d on, in the lower halves; zeros behind head_dim.
template <KvPrecision format>
MMBATCH_INLINE Ints load_plain_halves(const std::byte* row, std::size_t d, std::size_t head_dim) {
  constexpr std::size_t kBytes = kv_element_bytes(format);
  alignas(64) std::byte copy[4 * kLanes];
  const std::size_t there = head_dim > d ? (head_dim - d) * kBytes : 0;
  const std::byte* from = columns(row + d * kBytes, there, kBytes * kLanes, copy);
  if constexpr (format == KvPrecision::int16) return load_halves(from);
  return read_registers<Ints, 1>(from, [](const std::byte* some) { return widened_bytes(some); });
}

template <class Vector>
MMBATCH_INLINE Vector larger(Vector a, Vector b) {
  return by_registers<Vector>(a, b, [](auto x, auto y) { return x > y ? x : y; });
}

#if defined(__AVX512F__)
/// v[i] and v[i + apart] become one vector, for each i below `apart`: of every run of 2 · apart lanes the
/// first half comes from v[i], the second from v[i + apart], the larger ones of their two halves.
template <int apart>
MMBATCH_INLINE void merge_maxima(Ints (&v)[kLanes]) {
  Ints low;
  for (int k = 0; k < 16; ++k) low[k] = k / apart % 2 * 16 + k / (2 * apart) * 2 * apart + k % apart;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < apart; ++i) {
    const auto lanes = [&](Ints from) { return (Ints)shuffled((Floats)v[i], (Floats)v[i + apart], from); };
    v[i] = larger(lanes(low), lanes(low + apart));
  }
}

/// Lane i becomes the largest lane of v[i], for each i below `count`. v is used up.
MMBATCH_INLINE Ints lane_maxima(Ints (&v)[kLanes], std::size_t) {
  merge_maxima<8>(v);
  merge_maxima<4>(v);
  merge_maxima<2>(v);
  merge_maxima<1>(v);
  return v[0];
}
#else
typedef std::int32_t QuarterInts __attribute__((vector_size(16)));

/// Four lanes, the largest of as many each.
template <class Vector>
MMBATCH_INLINE QuarterInts quarter_maxima(const Vector& v) {
  if constexpr (kInHalves<Vector>) {
    return quarter_maxima(larger(v.front, v.back));
  } else {
#if defined(__AVX2__)
    return larger((QuarterInts)_mm256_castsi256_si128((__m256i)v),
                  (QuarterInts)_mm256_extracti128_si256((__m256i)v, 1));
#else
    return v;
#endif
  }
}

/// Lane i becomes the largest lane of v[i], for each i below `count`.
MMBATCH_INLINE Ints lane_maxima(Ints (&v)[kLanes], std::size_t count) {
  alignas(64) std::int32_t maxima[kLanes] = {};
  for (std::size_t i = 0; i < count; i += 4) {
    __m128 part[4];
    for (std::size_t k = 0; k < 4; ++k) part[k] = (__m128)quarter_maxima(v[i + k]);
    _MM_TRANSPOSE4_PS(part[0], part[1], part[2], part[3]);
    const QuarterInts all = larger(larger((QuarterInts)part[0], (QuarterInts)part[1]),
                                   larger((QuarterInts)part[2], (QuarterInts)part[3]));
    store_vector(maxima + i, all);
  }
  return load_ints(maxima);
}
#endif

/// How sixteen rows become integers up to a largest one: zeros stay zeros, and where a row has what is not
/// finite its scale is not a number, so that nothing that is multiplied by it is one.
struct Rounding {
  Floats scale, inverse;

  /// @param magnitudes the bits of each row's largest magnitude: those of what is not finite are the largest
  MMBATCH_INLINE Rounding up_to(float integer, Ints magnitudes) {
    constexpr std::int32_t kInfinity = 0x7f800000;
    constexpr float kTiny = 1e-33f;  // the integer divided by less may overflow
    const Floats largest = (Floats)magnitudes;
    const Ints finite = above(Ints{} + kInfinity, magnitudes);
    return {chosen(finite, largest * (1.0f / integer), splat(__builtin_nanf(""))),
            chosen(finite & above(largest, splat(kTiny)), integer / largest, Floats{})};
  }

  /// The bits of the largest magnitudes in a row's columns d, d + 16, …: one of each lane.
  MMBATCH_INLINE Ints magnitudes(const std::byte* row, std::size_t head_dim) {
    Ints largest{};
    for (std::size_t d = 0; d < head_dim; d += kLanes)
      largest = larger(largest, (Ints)load_plain<KvPrecision::f32>(row, d, head_dim) & 0x7fffffff);
    return largest;
  }
};

}  // namespace mmbatch::MMBATCH_ISA
