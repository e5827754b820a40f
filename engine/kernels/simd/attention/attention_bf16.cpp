#include "engine/kernels/simd/amx/attention.h"
#include "engine/kernels/simd/attention/tiles.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AVX512BF16__)
namespace {

/// Sixteen elements of a plain row from element d on as bfloat16, in the lower halves.
template <KvPrecision format>
MMBATCH_INLINE Ints load_plain_halves(const std::byte* row, std::size_t d, std::size_t head_dim) {
  if constexpr (format == KvPrecision::bf16) {
    if (d + kLanes <= head_dim) return load_halves(row + 2 * d);
  }
  return round_to_bf16(load_plain<format>(row, d, head_dim));
}

/// Sixteen pairs of neighbours in a plain row, elements d … d + 31, as bfloat16.
template <KvPrecision format>
MMBATCH_INLINE Ints load_plain_pairs(const std::byte* row, std::size_t d, std::size_t head_dim) {
  if constexpr (format == KvPrecision::bf16) {
    if (d + 2 * kLanes <= head_dim) return load_ints(row + 2 * d);
  }
  return bf16_pairs(load_plain<format>(row, d, head_dim), load_plain<format>(row, d + kLanes, head_dim));
}

MMBATCH_INLINE Ints rounded(FloatPairs x) {
  return round_to_bf16(x.even) | round_to_bf16(x.odd) << 16;
}

/// Sixteen pairs of bytes as bfloat16, which holds them exactly.
MMBATCH_INLINE Ints bf16_of_bytes(const std::byte* pairs) {
  return bf16_pairs(load_int8(pairs), load_int8(pairs + kLanes));
}

/// Products of bfloat16, sums and softmax in float32. Queries are rounded after scaling, weights after the
/// softmax.
struct BFloat16 {
  template <class Rows>
  static constexpr bool takes(KvPrecision format) {
    return format != KvPrecision::int16;
  }
  const AttentionUnit& unit;
  std::size_t width;  // padded head_dim
  std::size_t pairs;  // of the padded head_dim: a multiple of kLanes
  RunningSoftmax s;   // weights are put where the scores were, as pairs
  Tile tile;          // keys: pairs [pairs, kLanes]; values: pairs [kLanes / 2, padded]
  float* keys;        // of a tile that the cache does not hold so
  float* values;
  float* query;  // pairs [kQueries, pairs]

  static constexpr float kScoreUnit = 1.44269504f;  // powers of two
  static Floats power(Floats x) { return exp2_or_zero(x); }

  BFloat16(const AttentionUnit& unit_, float* p)
      : unit(unit_),
        width(padded(unit_.head_dim)),
        pairs((unit_.head_dim + 2 * kLanes - 1) / (2 * kLanes) * kLanes),
        s(p, width),
        keys(p + RunningSoftmax::floats(width)) {
    values = keys + pairs * kTile;
    query = values + kTile / 2 * width;
  }
  void complete() {}
  float* own_keys(std::size_t g) const { return keys + g * pairs * kLanes; }
  float* own_values(std::size_t g) const { return values + g * kLanes / 2 * width; }

  void take_query(std::size_t q) {
    auto* to = reinterpret_cast<std::byte*>(query + q * pairs);
    const float* from = unit.query[q];
    const float scale = unit.softcap > 0.0f ? unit.scale : unit.scale * kScoreUnit;
    for (std::size_t d = 0; d < 2 * pairs; d += kLanes) {
      const auto* row = reinterpret_cast<const std::byte*>(from);
      store_bf16(to + 2 * d, load_plain<KvPrecision::f32>(row, d, unit.head_dim) * scale);
    }
  }

  template <KvPrecision format, bool whole>
  void gather_keys(const TileRows& rows, std::size_t g) {
    for (std::size_t i = 0; i < pairs; i += kLanes) {
      Floats key[kLanes];
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kLanes; ++k) {
        const std::size_t j = g * kLanes + k;
        key[k] = whole || rows.has(j)
                     ? (Floats)load_plain_pairs<format>(rows.keys + rows.offset[j], 2 * i, unit.head_dim)
                     : Floats{};
      }
      transpose16(key, own_keys(g) + i * kLanes);
    }
  }

  template <KvPrecision format, bool whole>
  void gather_values(const TileRows& rows, std::size_t g) {
    for (std::size_t j = 0; j < kLanes / 2; ++j) {
      for (std::size_t d = 0; d < width; d += kLanes) {
        const auto value = [&](std::size_t at) {
          return whole || rows.has(at)
                     ? load_plain_halves<format>(rows.values + rows.offset[at], d, unit.head_dim)
                     : Ints{};
        };
        const std::size_t row = g * kLanes + 2 * j;
        store_ints(own_values(g) + j * width + d, value(row) | value(row + 1) << 16);
      }
    }
  }

  template <KvPrecision format>
  const float* keys_of(const std::byte* granule, std::size_t g) {
    if constexpr (format == KvPrecision::bf16) return reinterpret_cast<const float*>(granule);
    return expanded_keys<format>(granule, g);
  }
  template <KvPrecision format>
  const float* expanded_keys(const std::byte* granule, std::size_t g) {
    constexpr std::size_t kStep = 2 * kLanes * kv_element_bytes(format);
    float* to = own_keys(g);
    const std::byte* next = tile.next_keys[g];
    for (std::size_t i = 0; i < unit.head_dim / 2; ++i) {
      fetch(next + i * kStep, kStep);
      if constexpr (format == KvPrecision::int8)
        store_ints(to + i * kLanes, bf16_of_bytes(granule + i * kStep));
      else if constexpr (format == KvPrecision::bf16)
        store_ints(to + i * kLanes, load_ints(granule + i * kStep));
      else
        store_ints(to + i * kLanes, rounded(key_pairs<format>(granule, i)));
    }
    tile.next_keys[g] = reinterpret_cast<const std::byte*>(to);  // all has been asked for
    return to;
  }

  template <KvPrecision format>
  const float* values_of(const std::byte* granule, const TilePart& part, std::size_t g) {
    if (format == KvPrecision::bf16 && part.whole(g) && width == unit.head_dim)
      return reinterpret_cast<const float*>(granule);
    const std::size_t step = 2 * unit.head_dim * kv_element_bytes(format);
    float* to = own_values(g);
    const std::byte* next = tile.next_values[g];
    for (std::size_t j = 0; j < kLanes / 2; ++j) {
      fetch(next + j * step, step);
      const std::size_t key = g * kLanes + 2 * j;
      const Ints there = Ints{} + ((part.has(key) ? 0xffff : 0) | (part.has(key + 1) ? ~0xffff : 0));
      for (std::size_t d = 0; d < width; d += kLanes) {
        // No byte is anything but a number, and scales make those zero that are not there.
        if (format == KvPrecision::int8 && width == unit.head_dim)
          store_ints(to + j * width + d, bf16_of_bytes(granule + j * step + 2 * d));
        else
          store_ints(to + j * width + d, rounded(value_pairs<format>(granule, j, d, unit.head_dim)) & there);
      }
    }
    tile.next_values[g] = reinterpret_cast<const std::byte*>(to);
    return to;
  }

  /// scores[r, :] = query[r, :] · keys for R queries and V granules from `granule` on.
  template <std::size_t R, std::size_t V>
  void score(std::size_t first, std::size_t granule) {
    Floats sums[R][V] = {};
    const float* q = query + first * pairs;
    const std::size_t count = (unit.head_dim + 1) / 2;
    for (std::size_t i = 0; i < count; ++i) {
      Ints key[V];
      for (std::size_t v = 0; v < V; ++v) {
        key[v] = load_ints(tile.keys[granule + v] + i * kLanes);
        fetch(tile.next_keys[granule + v] + i * sizeof(Ints));
      }
      for (std::size_t r = 0; r < R; ++r) {
        const Ints x = splat_ints(q + r * pairs + i);
        for (std::size_t v = 0; v < V; ++v) sums[r][v] = dot2(sums[r][v], key[v], x);
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < V; ++v) store(s.scores + r * kTile + (granule + v) * kLanes, sums[r][v]);
    }
  }

  void soften(std::size_t first, std::size_t count) {
    for (std::size_t r = 0; r < count; ++r) soften_one(*this, first + r, s.scores + r * kTile);
  }
  static void put_weights(const Floats (&weights)[kGranules], float* to) {
    for (std::size_t k = 0; k < kGranules; k += 2)
      store_ints(to + k / 2 * kLanes, bf16_pairs(weights[k], weights[k + 1]));
  }

  /// out[r, :] = out[r, :] + weights[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  void weigh(std::size_t first, std::size_t column) {
    Floats sums[R][V];
    float* out = s.out + first * width + column;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < V; ++v) sums[r][v] = load(out + r * width + v * kLanes);
    }
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      const float* weights = s.scores + g * kLanes / 2;
      for (std::size_t j = 0; j < kLanes / 2; ++j) {
        Ints value[V];
        for (std::size_t v = 0; v < V; ++v) {
          value[v] = load_ints(tile.values[g] + j * width + column + v * kLanes);
          fetch(tile.next_values[g] + (j * width + column + v * kLanes) * sizeof(float));
        }
        for (std::size_t r = 0; r < R; ++r) {
          const Ints p = splat_ints(weights + r * kTile + j);
          for (std::size_t v = 0; v < V; ++v) sums[r][v] = dot2(sums[r][v], value[v], p);
        }
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < V; ++v) store(out + r * width + v * kLanes, sums[r][v]);
    }
  }
};

}  // namespace
#endif

void attention_bf16(const AttentionUnit& unit, float* scratch) {
#if defined(__AVX512BF16__)
  if (unit.rows.layout.format == KvPrecision::int16) return attention_int16(unit, scratch);
#if defined(__AMX_BF16__)
  attend<AmxAttention<BFloat16>>(unit, scratch);
#else
  attend<BFloat16>(unit, scratch);
#endif
#else
  attention_int16(unit, scratch);
#endif
}

}  // namespace mmbatch::MMBATCH_ISA
