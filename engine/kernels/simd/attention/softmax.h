#pragma once

// From scores to weights, tile by tile: Milakov and Gimelshein, Online normalizer calculation for softmax
// (arXiv 1805.02867).

#include "engine/kernels/simd/attention/bring.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kQueries = AttentionUnit::kMaxQueries;

/// head_dim rounded up to whole vectors of floats.
MMBATCH_INLINE std::size_t padded(std::size_t head_dim) {
  return (head_dim + kLanes - 1) / kLanes * kLanes;
}

/// Queries that are worked on together, at most: their sums stay in registers, R · kVectors<R> of them.
#if defined(__AVX512F__)
constexpr std::size_t kRun = 8;
template <std::size_t R>
constexpr std::size_t kVectors = R < 8 ? 4 : 2;
#else
constexpr std::size_t kRun = 4;
template <std::size_t R>
constexpr std::size_t kVectors = R < 4 ? 2 : 1;
#endif

/// Queries whose scores are kept at a time: with tiles those of two groups.
#if defined(__AMX_BF16__)
constexpr std::size_t kScored = 32;
#else
constexpr std::size_t kScored = kRun;
#endif

/// 2^x to 3e-6 for x ≤ 127, 0 below -127: for weights that are rounded. What is no number stays none.
MMBATCH_INLINE Floats exp2_or_zero(Floats x) {
  const Floats bounded = max(splat(-127.0f), x);  // 2^-127 comes out as zero
  const Floats shifted = bounded + 12582912.0f;   // 1.5 · 2²³: rounds to an integer
  const Floats f = bounded - (shifted - 12582912.0f);
  Floats p = splat(9.5828529e-3f);
  p = p * f + 5.5906425e-2f;
  p = p * f + 2.4024099e-1f;
  p = p * f + 6.9312419e-1f;
  p = p * f + 1.0f;
  return (Floats)((Words)p + ((Words)shifted << 23));
}

/// What every arithmetic keeps of a unit's queries.
struct RunningSoftmax {
  float* scores;  // [kScored, kTile], then the weights
  float* out;     // [kQueries, padded]
  float* max;     // [kQueries]
  float* sum;     // [kQueries, kLanes]: of every sixteenth key

  static constexpr std::size_t floats(std::size_t width) {
    return kScored * kTile + kQueries * (width + 1 + kLanes);
  }
  RunningSoftmax(float* p, std::size_t width)
      : scores(p), out(scores + kScored * kTile), max(out + kQueries * width), sum(max + kQueries) {}
};

/// What few units need: scales, the cap, and taking out what the query does not see, whatever its scores are.
template <class Arithmetic>
__attribute__((noinline)) void adjust(const Arithmetic& arithmetic, std::size_t query, std::size_t tile,
                                      float* scores) {
  const AttentionUnit& unit = arithmetic.unit;
  const auto begin = static_cast<std::ptrdiff_t>(unit.key_begin[query]) - static_cast<std::ptrdiff_t>(tile);
  const auto end = static_cast<std::ptrdiff_t>(unit.key_end[query]) - static_cast<std::ptrdiff_t>(tile);
  const std::int32_t low = begin > 0 ? static_cast<std::int32_t>(begin) : 0;
  const std::int32_t high = end < static_cast<std::ptrdiff_t>(kTile) ? static_cast<std::int32_t>(end) : kTile;
  const Ints before = Ints{} + (low - 1), behind = Ints{} + high;
  for (std::size_t k = 0; k < kTile; k += kLanes) {
    Floats v = load(scores + k);
    if (arithmetic.tile.keys_scaled) v = v * load(arithmetic.tile.key_scales + k);
    if (unit.softcap > 0.0f) v = tanh(v / unit.softcap) * (unit.softcap * Arithmetic::kScoreUnit);
    const Ints at = lane_numbers() + static_cast<std::int32_t>(k);
    store(scores + k, chosen(above(at, before) & above(behind, at), v, splat(-__builtin_inff())));
  }
}

#if !defined(__AVX512F__)
/// Whether a lane's bits are set.
template <class Vector>
MMBATCH_INLINE bool any(const Vector& mask) {
  if constexpr (kInHalves<Vector>) return any(mask.front | mask.back);
#if defined(__AVX2__)
  else
    return _mm256_movemask_ps((__m256)mask) != 0;
#else
  else
    return _mm_movemask_ps((__m128)mask) != 0;
#endif
}
#endif

/// Whether any lane is greater.
MMBATCH_INLINE bool exceeds(Floats v, float bound) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, (__m512)splat(bound), _CMP_GT_OQ) != 0;
#else
  return any(above(v, splat(bound)));
#endif
}

/// By how much scores may exceed the maximum that is taken off them, as a natural logarithm: weights up to 2⁸
/// are as exact as those up to 1, and what has been summed seldom has to be scaled.
constexpr float kLeeway = 5.5451774f;

/// Moves a query's maximum on, and what has been summed with the old one.
template <class Arithmetic>
__attribute__((noinline)) void raise(const Arithmetic& arithmetic, std::size_t query, float new_max) {
  const RunningSoftmax& s = arithmetic.s;
  const Floats keep = Arithmetic::power(splat(s.max[query] - new_max));
  s.max[query] = new_max;
  store(s.sum + query * kLanes, load(s.sum + query * kLanes) * keep);
  float* out = s.out + query * arithmetic.width;
  for (std::size_t d = 0; d < arithmetic.width; d += kLanes) store(out + d, load(out + d) * keep);
}

/// The weights that a query gives to the keys of a tile, out of its scores; adds them up.
template <class Arithmetic>
MMBATCH_INLINE void weigh_keys(const Arithmetic& arithmetic, std::size_t query, const float* scores,
                               Floats (&v)[kGranules]) {
  const RunningSoftmax& s = arithmetic.s;
#pragma GCC unroll 4
  for (std::size_t k = 0; k < kGranules; ++k) v[k] = load(scores + k * kLanes);
  const Floats most = max(max(v[0], v[1]), max(v[2], v[3]));
  if (exceeds(most, s.max[query] + kLeeway * Arithmetic::kScoreUnit))
    raise(arithmetic, query, max_lane(most));  // in the first tile, and seldom afterwards
  const Floats top = splat(s.max[query]);
#pragma GCC unroll 4
  for (Floats& x : v) x = Arithmetic::power(x - top);
  store(s.sum + query * kLanes, load(s.sum + query * kLanes) + ((v[0] + v[1]) + (v[2] + v[3])));
  if (arithmetic.tile.values_scaled) {
#pragma GCC unroll 4
    for (std::size_t k = 0; k < kGranules; ++k) v[k] = v[k] * load(arithmetic.tile.value_scales + k * kLanes);
  }
}

/// Turns a query's scores of a tile into weights, which go where put_weights(weights, to) of the arithmetic
/// puts them. Compiled once, whatever the number of queries: where the compiler joins multiplications with
/// additions is the same for all.
template <class Arithmetic>
__attribute__((noinline)) void soften_one(const Arithmetic& arithmetic, std::size_t query, float* scores) {
  Floats v[kGranules];
  weigh_keys(arithmetic, query, scores, v);
  arithmetic.put_weights(v, scores);
}

/// Whether a query's scores of a tile have to be adjusted.
template <class Arithmetic>
MMBATCH_INLINE bool special(const Arithmetic& arithmetic, std::size_t query, std::size_t tile) {
  const AttentionUnit& unit = arithmetic.unit;
  return arithmetic.tile.keys_scaled || unit.softcap > 0.0f || unit.key_begin[query] > tile ||
         unit.key_end[query] < tile + kTile;
}

}  // namespace mmbatch::MMBATCH_ISA
