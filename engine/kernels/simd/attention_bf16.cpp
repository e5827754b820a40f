#include "engine/kernels/simd/attention_tiles.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// 2^x to 3e-6 for x ≤ 0, 0 below -127: the weights are rounded to eight bits.
MMBATCH_INLINE Floats exp2_of_negative(Floats x) {
  const Floats bounded = max(x, splat(-127.0f));  // 2^-127 comes out as zero
  const Floats shifted = bounded + 12582912.0f;   // 1.5 · 2²³: rounds to an integer
  const Floats f = bounded - (shifted - 12582912.0f);
  Floats p = splat(9.5828529e-3f);
  p = p * f + 5.5906425e-2f;
  p = p * f + 2.4024099e-1f;
  p = p * f + 6.9312419e-1f;
  p = p * f + 1.0f;
  return (Floats)((Words)p + ((Words)shifted << 23));
}

/// Sixteen elements of a cached row from element d on as bfloat16, in the lower halves.
template <KvPrecision format>
MMBATCH_INLINE Ints load_cached_halves(const std::byte* row, std::size_t d, std::size_t head_dim) {
  if constexpr (format == KvPrecision::bf16) {
    if (d + kLanes <= head_dim) return load_halves(row + 2 * d);
  }
  return round_to_bf16(load_cached<format>(row, d, head_dim));
}

/// Sixteen pairs of neighbours in a cached row, elements d … d + 31, as bfloat16.
template <KvPrecision format>
MMBATCH_INLINE Ints load_pairs(const std::byte* row, std::size_t d, std::size_t head_dim) {
  if constexpr (format == KvPrecision::bf16) {
    if (d + 2 * kLanes <= head_dim) return load_ints(row + 2 * d);
  }
  return bf16_pairs(load_cached<format>(row, d, head_dim), load_cached<format>(row, d + kLanes, head_dim));
}

/// Products of bfloat16, sums and softmax in float32. Queries are rounded after scaling, weights after the
/// softmax.
struct BFloat16 {
  const AttentionUnit& unit;
  std::size_t width;  // padded head_dim
  std::size_t pairs;  // of the padded head_dim: a multiple of kLanes
  RunningSoftmax s;   // weights are put where the scores were, as pairs
  float* keys;        // pairs [pairs, kTile]
  float* values;      // pairs [kTile / 2, padded]
  float* query;       // pairs [kQueries, pairs]

  static constexpr float kScoreUnit = 1.44269504f;  // powers of two
  static Floats power(Floats x) { return exp2_of_negative(x); }

  BFloat16(const AttentionUnit& unit_, float* p)
      : unit(unit_),
        width(padded(unit_.head_dim)),
        pairs((unit_.head_dim + 2 * kLanes - 1) / (2 * kLanes) * kLanes),
        s(p, width),
        keys(p + RunningSoftmax::floats(width)) {
    values = keys + pairs * kTile;
    query = values + kTile / 2 * width;
  }

  void take_query(std::size_t q) {
    auto* to = reinterpret_cast<std::byte*>(query + q * pairs);
    const float* from = unit.query[q];
    const float scale = unit.softcap > 0.0f ? unit.scale : unit.scale * kScoreUnit;
    for (std::size_t d = 0; d < 2 * pairs; d += kLanes) {
      const auto* row = reinterpret_cast<const std::byte*>(from);
      store_bf16(to + 2 * d, load_cached<KvPrecision::f32>(row, d, unit.head_dim) * scale);
    }
  }

  template <KvPrecision format, bool whole>
  void gather(const TileRows& rows, const TileRows& next) {
    const std::size_t bytes = kv_row_bytes(format, unit.head_dim);
    for (std::size_t j = 0; j < kTile; j += kLanes) {
      for (std::size_t k = 0; k < kLanes; ++k) next.prefetch(unit.rows.keys, j + k, bytes);
      for (std::size_t i = 0; i < pairs; i += kLanes) {
        Floats key[kLanes];
#pragma GCC unroll 16
        for (std::size_t k = 0; k < kLanes; ++k) {
          key[k] = whole || rows.has(j + k)
                       ? (Floats)load_pairs<format>(unit.rows.keys + rows.offset[j + k], 2 * i, unit.head_dim)
                       : Floats{};
        }
        transpose16(key, keys + i * kTile + j, kTile);
      }
    }
    for (std::size_t j = 0; j < kTile; j += 2) {
      next.prefetch(unit.rows.values, j, bytes);
      next.prefetch(unit.rows.values, j + 1, bytes);
      for (std::size_t d = 0; d < width; d += kLanes) {
        const auto value = [&](std::size_t at) {
          return whole || rows.has(at)
                     ? load_cached_halves<format>(unit.rows.values + rows.offset[at], d, unit.head_dim)
                     : Ints{};
        };
        store_ints(values + j / 2 * width + d, value(j) | value(j + 1) << 16);
      }
    }
  }

  /// scores[r, :] = query[r, :] · keys for R queries.
  template <std::size_t R>
  void score(std::size_t first) {
    Floats sums[R][kTileVectors] = {};
    const float* q = query + first * pairs;
    for (std::size_t i = 0; i < pairs; ++i) {
      Ints key[kTileVectors];
      for (std::size_t v = 0; v < kTileVectors; ++v) key[v] = load_ints(keys + i * kTile + v * kLanes);
      for (std::size_t r = 0; r < R; ++r) {
        const Ints x = splat_ints(q + r * pairs + i);
        for (std::size_t v = 0; v < kTileVectors; ++v) sums[r][v] = dot2(sums[r][v], key[v], x);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < kTileVectors; ++v) store(s.scores + r * kTile + v * kLanes, sums[r][v]);
    }
  }

  static void put_weights(const Floats (&weights)[kTileVectors], float* to) {
    for (std::size_t k = 0; k < kTileVectors; k += 2)
      store_ints(to + k / 2 * kLanes, bf16_pairs(weights[k], weights[k + 1]));
  }

  /// out[r, :] = out[r, :] + weights[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  void weigh_columns(std::size_t first, std::size_t column) {
    Floats sums[R][V];
    float* out = s.out + first * width + column;
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) sums[r][v] = load(out + r * width + v * kLanes);
    }
    for (std::size_t j = 0; j < kTile / 2; ++j) {
      Ints value[V];
      for (std::size_t v = 0; v < V; ++v) value[v] = load_ints(values + j * width + column + v * kLanes);
      for (std::size_t r = 0; r < R; ++r) {
        const Ints p = splat_ints(s.scores + r * kTile + j);
        for (std::size_t v = 0; v < V; ++v) sums[r][v] = dot2(sums[r][v], value[v], p);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) store(out + r * width + v * kLanes, sums[r][v]);
    }
  }
};

}  // namespace

void attention_bf16(const AttentionUnit& unit, float* scratch) {
  attend<BFloat16>(unit, scratch);
}

void store_cached(KvPrecision format, const float* x, std::size_t n, std::byte* row) {
  if (format == KvPrecision::f32) {
    __builtin_memcpy(row, x, n * sizeof(float));
    return;
  }
  if (format == KvPrecision::int8) return quantize_cached(x, n, row);
  std::size_t d = 0;
  for (; d + kLanes <= n; d += kLanes) store_bf16(row + 2 * d, load(x + d));
  if (d == n) return;
  std::byte some[2 * kLanes];
  store_bf16(some, load_some(x + d, n - d));
  __builtin_memcpy(row + 2 * d, some, 2 * (n - d));
}

}  // namespace mmbatch::MMBATCH_ISA
