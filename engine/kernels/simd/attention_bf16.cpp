#include "engine/kernels/simd/attention_tiles.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Two vectors of floats as one of pairs: `low` in the lower halves.
MMBATCH_INLINE Ints pair_up(Floats low, Floats high) {
  const Ints a = (Ints)low, b = (Ints)high;
  const Ints rounded_a = a + 0x7fff + ((a >> 16) & 1), rounded_b = b + 0x7fff + ((b >> 16) & 1);
  return ((rounded_a >> 16) & 0xffff) | (rounded_b & -65536);
}

/// Sixteen pairs of neighbours in a cached row, elements d … d + 31, as bfloat16.
template <KvPrecision format>
MMBATCH_INLINE Ints load_pairs(const std::byte* row, std::size_t d, std::size_t head_dim) {
  if constexpr (format == KvPrecision::bf16) {
    if (d + 2 * kLanes <= head_dim) return load_ints(row + 2 * d);
  }
  alignas(64) std::byte halves[4 * kLanes];
  store_bf16(halves, load_cached<format>(row, d, head_dim));
  store_bf16(halves + 2 * kLanes, load_cached<format>(row, d + kLanes, head_dim));
  return load_ints(halves);
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
    for (std::size_t d = 0; d < 2 * pairs; d += kLanes) {
      const auto* row = reinterpret_cast<const std::byte*>(from);
      store_bf16(to + 2 * d, load_cached<KvPrecision::f32>(row, d, unit.head_dim) * unit.scale);
    }
  }

  /// Brings keys and values of the tile's positions from `first` to before `end` into it; the rest becomes
  /// zero. What lies before the window of all queries may have lost its memory.
  template <KvPrecision format>
  void gather(std::size_t tile, std::size_t first, std::size_t end) {
    const std::size_t skipped = first > tile ? first - tile : 0;
    const std::size_t count = end - tile < kTile ? end - tile : kTile;
    const auto present = [&](std::size_t j) { return j >= skipped && j < count; };
    std::size_t offset[kTile];
    for (std::size_t j = skipped; j < count; ++j) offset[j] = row_offset(unit.rows, tile + j);
    for (std::size_t j = 0; j < kTile; j += kLanes) {
      for (std::size_t i = 0; i < pairs; i += kLanes) {
        Floats rows[kLanes];
        for (std::size_t k = 0; k < kLanes; ++k) {
          rows[k] = present(j + k)
                        ? (Floats)load_pairs<format>(unit.rows.keys + offset[j + k], 2 * i, unit.head_dim)
                        : Floats{};
        }
        transpose16(rows, keys + i * kTile + j, kTile);
      }
    }
    for (std::size_t j = 0; j < kTile; j += 2) {
      for (std::size_t d = 0; d < width; d += kLanes) {
        const auto value = [&](std::size_t at) {
          return present(at) ? load_cached<format>(unit.rows.values + offset[at], d, unit.head_dim)
                             : Floats{};
        };
        store_ints(values + j / 2 * width + d, pair_up(value(j), value(j + 1)));
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
      for (std::size_t v = 0; v < kTileVectors; ++v)
        store(s.scores + (first + r) * kTile + v * kLanes, sums[r][v]);
    }
  }

  void put_weights(std::size_t q, const Floats (&weights)[kTileVectors]) {
    auto* to = reinterpret_cast<std::byte*>(s.scores + q * kTile);
    for (std::size_t k = 0; k < kTileVectors; ++k) store_bf16(to + 2 * k * kLanes, weights[k]);
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
        const Ints p = splat_ints(s.scores + (first + r) * kTile + j);
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
