#include "engine/kernels/simd/attention/tiles.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
#if !defined(__AVX512BF16__)
namespace {

/// Whole numbers next to x · factor, of magnitude below 2²².
MMBATCH_INLINE Ints nearest(Floats x, float factor) {
  return (Ints)(x * factor + 12582912.0f) - 0x4b400000;  // 1.5 · 2²³: what is added to it is rounded
}

/// Thirty-two numbers in a row as sixteen pairs.
MMBATCH_INLINE Ints short_pairs(Ints first, Ints second) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_castsi256_si512(_mm512_cvtepi32_epi16((__m512i)first));
  return (Ints)_mm512_inserti64x4(low, _mm512_cvtepi32_epi16((__m512i)second), 1);
#else
  alignas(64) std::byte pairs[4 * kLanes];
  store_halves(pairs, first);
  store_halves(pairs + 2 * kLanes, second);
  return load_ints(pairs);
#endif
}

/// How numbers become integers up to a largest one: zeros stay zeros, and where one of them is not finite the
/// scale is not a number, so that nothing that is multiplied by it is one.
struct Rounding {
  float scale, inverse;

  MMBATCH_INLINE Rounding up_to(float integer, float largest) {
    constexpr float kTiny = 1e-33f;  // the integer divided by less may overflow
    return {largest * (1.0f / integer), largest > kTiny ? integer / largest : 0.0f};
  }
  static Rounding of_row(const std::byte* row, std::size_t head_dim, float integer) {
    Floats largest{}, total{};
    for (std::size_t d = 0; d < head_dim; d += kLanes) {
      const Floats x = load_plain<KvPrecision::f32>(row, d, head_dim);
      largest = max(largest, max(x, -x));
      total = total + x * 0.0f;  // zero, or, of what is not finite, not a number
    }
    if (sum(total) != 0.0f) return {__builtin_nanf(""), 0.0f};
    return up_to(integer, max_lane(largest));
  }
};

/// Products of integers of sixteen bits, exact in any order; softmax in float32. Each row of queries, keys
/// and values is rounded to at least eleven bits of its largest magnitude, and so are the weights that a
/// query gives to the keys of a tile.
struct Int16 {
  static constexpr bool kUncached = true;
  static constexpr float kScoreUnit = 1.44269504f;  // powers of two
  static Floats power(Floats x) { return exp2_or_zero(x); }

  /// The largest integers: as fit a sum of kTile products.
  static constexpr std::int64_t kMostWeight = 8191, kMostValue = 4095;
  static_assert(static_cast<std::int64_t>(kTile) * kMostWeight * kMostValue < std::int64_t{1} << 31);
  /// The same of queries and keys, for sums of head_dim products.
  static float largest_integer(std::size_t head_dim) {
    const auto root =
        static_cast<std::int32_t>(__builtin_sqrtf(2147483000.0f / static_cast<float>(head_dim)));
    return static_cast<float>(root < 32767 ? root : 32767);
  }

  const AttentionUnit& unit;
  std::size_t width;  // padded head_dim
  std::size_t pairs;  // of the padded head_dim: a multiple of kLanes
  RunningSoftmax s;   // weights are put where the scores were, as pairs, and their scale behind them
  Tile tile;          // keys: pairs [pairs, kLanes]; values: pairs [kLanes / 2, padded]
  float* keys;
  float* values;
  float* query;         // pairs [kQueries, pairs]
  float* query_scales;  // [kQueries]
  float most;           // largest_integer()
  float one_or_nan;     // not a number where one of a tile's values is none

  Int16(const AttentionUnit& unit_, float* p)
      : unit(unit_),
        width(padded(unit_.head_dim)),
        pairs((unit_.head_dim + 2 * kLanes - 1) / (2 * kLanes) * kLanes),
        s(p, width),
        keys(p + RunningSoftmax::floats(width)),
        values(keys + pairs * kTile),
        query(values + kTile / 2 * width),
        query_scales(query + kQueries * pairs),
        most(largest_integer(unit_.head_dim)) {}
  void complete() {
    tile.values_scaled = true;
    Floats total{};
    for (std::size_t g = 0; g < kGranules; ++g) {
      float* scales = tile.value_scales + g * kLanes;
      if (g < tile.first || g >= tile.end) store(scales, Floats{});  // weights are scaled all together
      total = total + load(scales) * 0.0f;
    }
    one_or_nan = 1.0f + sum(total);
  }
  float* own_keys(std::size_t g) const { return keys + g * pairs * kLanes; }
  float* own_values(std::size_t g) const { return values + g * kLanes / 2 * width; }

  /// Elements d … d + 31 of a row.
  Ints row_pairs(const std::byte* row, std::size_t d, float factor) const {
    return short_pairs(nearest(load_plain<KvPrecision::f32>(row, d, unit.head_dim), factor),
                       nearest(load_plain<KvPrecision::f32>(row, d + kLanes, unit.head_dim), factor));
  }

  void take_query(std::size_t q) {
    const auto* row = reinterpret_cast<const std::byte*>(unit.query[q]);
    const Rounding rounding = Rounding::of_row(row, unit.head_dim, most);
    query_scales[q] = rounding.scale * (unit.softcap > 0.0f ? unit.scale : unit.scale * kScoreUnit);
    for (std::size_t i = 0; i < pairs; i += kLanes)
      store_ints(query + q * pairs + i, row_pairs(row, 2 * i, rounding.inverse));
  }

  template <KvPrecision, bool whole>
  void gather_keys(const TileRows& rows, std::size_t g) {
    float inverse[kLanes];
    for (std::size_t k = 0; k < kLanes; ++k) {
      const std::size_t j = g * kLanes + k;
      const bool there = whole || rows.has(j);
      const Rounding rounding =
          there ? Rounding::of_row(rows.keys + rows.offset[j], unit.head_dim, most) : Rounding{};
      tile.key_scales[j] = rounding.scale;
      inverse[k] = rounding.inverse;
    }
    for (std::size_t i = 0; i < pairs; i += kLanes) {
      Floats key[kLanes];
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kLanes; ++k) {
        const std::size_t j = g * kLanes + k;
        key[k] = whole || rows.has(j) ? (Floats)row_pairs(rows.keys + rows.offset[j], 2 * i, inverse[k])
                                      : Floats{};
      }
      transpose16(key, own_keys(g) + i * kLanes);
    }
  }

  template <KvPrecision, bool whole>
  void gather_values(const TileRows& rows, std::size_t g) {
    for (std::size_t j = g * kLanes; j < (g + 1) * kLanes; j += 2) {
      Rounding rounding[2] = {};
      for (std::size_t k = 0; k < 2; ++k) {
        if (whole || rows.has(j + k))
          rounding[k] = Rounding::of_row(rows.values + rows.offset[j + k], unit.head_dim, kMostValue);
        tile.value_scales[j + k] = rounding[k].scale;
      }
      float* to = own_values(g) + (j - g * kLanes) / 2 * width;
      for (std::size_t d = 0; d < width; d += kLanes) {
        const auto value = [&](std::size_t k) {
          if (!whole && !rows.has(j + k)) return Ints{};
          return nearest(load_plain<KvPrecision::f32>(rows.values + rows.offset[j + k], d, unit.head_dim),
                         rounding[k].inverse);
        };
        store_ints(to + d, (value(0) & 0xffff) | value(1) << 16);
      }
    }
  }

  /// scores[r, :] = query[r, :] · keys for R queries and V granules from `granule` on.
  template <std::size_t R, std::size_t V>
  void score(std::size_t first, std::size_t granule) {
    IntRegister sums[R][V * kParts] = {};
    auto rows =
        RowWords<R>::of(reinterpret_cast<const std::byte*>(query + first * pairs), pairs * sizeof(float));
    const float* at[V];
    MMBATCH_UNROLLED(V, v) {
      at[v] = tile.keys[granule + v];
    });
    const std::size_t count = (unit.head_dim + 1) / 2;
    for (std::size_t i = 0; i < count; ++i) {
      IntRegister key[V * kParts];
      MMBATCH_UNROLLED(V * kParts, c) {
        key[c] = load_register<IntRegister>(at[c / kParts] + i * kLanes + c % kParts * kRegisterLanes);
      });
      MMBATCH_UNROLLED(R, r) {
        add_products<V>(splat_four_bytes(rows.at(r, 0)), key, sums[r]);
      });
      rows.move(sizeof(float));
    }
    MMBATCH_UNROLLED(R, r) {
      const float scale = query_scales[first + r];
      MMBATCH_UNROLLED(V * kParts, c) {
        const std::size_t key = granule * kLanes + c * kRegisterLanes;
        const FloatRegister scales = load_register<FloatRegister>(tile.key_scales + key) * scale;
        store_register(s.scores + r * kTile + key, to_floats(sums[r][c]) * scales);
      });
    });
  }

  void put_weights(const Floats (&weights)[kGranules], float* to) const {
    const Floats largest = max(max(weights[0], weights[1]), max(weights[2], weights[3]));
    const Rounding rounding = Rounding::up_to(kMostWeight, max_lane(largest));
    for (std::size_t k = 0; k < kGranules; k += 2) {
      store_ints(to + k / 2 * kLanes, short_pairs(nearest(weights[k], rounding.inverse),
                                                  nearest(weights[k + 1], rounding.inverse)));
    }
    to[kTile / 2] = rounding.scale * one_or_nan;
  }

  /// out[r, :] = out[r, :] + weights[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  void weigh(std::size_t first, std::size_t column) {
    IntRegister sums[R][V * kParts] = {};
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      const float *weights = s.scores + g * kLanes / 2, *at = tile.values[g] + column;
      for (std::size_t j = 0; j < kLanes / 2; ++j, at += width) {
        IntRegister value[V * kParts];
        MMBATCH_UNROLLED(V * kParts, c) {
          value[c] = load_register<IntRegister>(at + c * kRegisterLanes);
        });
        MMBATCH_UNROLLED(R, r) {
          add_products<V>(splat_four_bytes(weights + r * kTile + j), value, sums[r]);
        });
      }
    }
    float* out = s.out + first * width + column;
    MMBATCH_UNROLLED(R, r) {
      const float scale = s.scores[r * kTile + kTile / 2];
      MMBATCH_UNROLLED(V * kParts, c) {
        float* to = out + r * width + c * kRegisterLanes;
        store_register(to, load_register<FloatRegister>(to) + to_floats(sums[r][c]) * scale);
      });
    });
  }

 private:
  static constexpr std::size_t kParts = kLanes / kRegisterLanes;  // registers of sixteen floats

  template <std::size_t V>
  MMBATCH_INLINE void add_products(IntRegister factor, const IntRegister (&words)[V * kParts],
                                   IntRegister (&sums)[V * kParts]) {
    MMBATCH_UNROLLED(V * kParts, c) {
      sums[c] = kept(add_pairs(sums[c], words[c], factor));
    });
  }
};

}  // namespace

void attention_int16(const AttentionUnit& unit, float* scratch) {
  attend<Int16>(unit, scratch);
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
