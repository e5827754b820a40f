#include "engine/kernels/simd/attention/rounding.h"
#include "engine/kernels/simd/attention/tiles.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
#if !defined(__AVX512BF16__)
namespace {

#if defined(__AVX512F__)
/// 2^x to 3e-6 for x ≤ 127; where x is not a number, neither is the result.
MMBATCH_INLINE Floats exp2(Floats x) {
  const Floats f = (Floats)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF);
  Floats p = splat(1.353417e-2f);
  p = p * f + 5.201146e-2f;
  p = p * f + 2.4144275e-1f;
  p = p * f + 6.9300384e-1f;
  p = p * f + 1.00000259f;
  return (Floats)_mm512_scalef_ps((__m512)p, (__m512)x);
}
#else
MMBATCH_INLINE Floats exp2(Floats x) {
  return exp2_or_zero(x);
}
#endif

/// Products of integers of sixteen bits, exact in any order; softmax in float32. Each row of queries, keys
/// and values is rounded to at least eleven bits of its largest magnitude, and so are the weights that a
/// query gives to the keys of a tile.
struct Int16 {
  static constexpr bool kUncached = true;
  static constexpr float kScoreUnit = 1.44269504f;  // powers of two
  static Floats power(Floats x) { return exp2(x); }

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
  Tile tile;          // keys: pairs [pairs, kLanes]; values of two granules: pairs [kLanes, padded]
  float* keys;
  float* values;
  float* query;         // pairs [kQueries, pairs]
  float* query_scales;  // [kQueries]
  float most;           // largest_integer()

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
    for (std::size_t g = 0; g < kGranules; ++g) {
      if (g < tile.first || g >= tile.end) store(tile.value_scales + g * kLanes, Floats{});
    }
  }
  float* own_keys(std::size_t g) const { return keys + g * pairs * kLanes; }
  float* own_values(std::size_t g) const { return values + g / 2 * kLanes * width; }

  /// Elements d … d + 31 of a row, or as many as there are: those of the first half with those of the second.
  Ints row_pairs(const std::byte* row, std::size_t d, float factor) const {
    const std::size_t left = unit.head_dim > d ? unit.head_dim - d : 0;
    const std::size_t half = left < 2 * kLanes ? (left + 1) / 2 : kLanes;
    return paired(nearest(load_plain<KvPrecision::f32>(row, d, d + half), factor),
                  nearest(load_plain<KvPrecision::f32>(row, d + half, unit.head_dim), factor));
  }

  /// Takes sixteen queries where the first of them is asked for.
  void take_query(std::size_t q) {
    if (q % kLanes != 0) return;
    const std::size_t count = unit.queries - q < kLanes ? unit.queries - q : kLanes;
    const auto row = [&](std::size_t k) { return reinterpret_cast<const std::byte*>(unit.query[q + k]); };
    const Rounding rounding = rounding_of(most, [&](std::size_t k) { return k < count ? row(k) : nullptr; });
    const float scale = unit.softcap > 0.0f ? unit.scale : unit.scale * kScoreUnit;
    alignas(64) float scales[kLanes], inverses[kLanes];
    store(scales, rounding.scale * scale);
    store(inverses, rounding.inverse);
    for (std::size_t k = 0; k < count; ++k) {
      query_scales[q + k] = scales[k];
      for (std::size_t i = 0; i < pairs; i += kLanes)
        store_ints(query + (q + k) * pairs + i, row_pairs(row(k), 2 * i, inverses[k]));
    }
  }

  template <KvPrecision, bool whole>
  void gather_keys(const TileRows& rows, std::size_t g) {
    const auto row = [&](std::size_t k) {
      const std::size_t j = g * kLanes + k;
      return whole || rows.has(j) ? rows.keys + rows.offset[j] : nullptr;
    };
    const Rounding rounding = rounding_of(most, row);
    alignas(64) float inverses[kLanes];
    store(inverses, rounding.inverse);
    store(tile.key_scales + g * kLanes, rounding.scale);
    for (std::size_t i = 0; i < pairs; i += kLanes) {
      Floats key[kLanes];
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kLanes; ++k)
        key[k] = row(k) != nullptr ? (Floats)row_pairs(row(k), 2 * i, inverses[k]) : Floats{};
      transpose16(key, own_keys(g) + i * kLanes);
    }
  }

  /// Values of a granule become pairs with those of the next one, in the same place, where they are not yet.
  template <KvPrecision, bool whole>
  void gather_values(const TileRows& rows, std::size_t granule) {
    if (granule % 2 == 1 && granule > tile.first) return;
    const std::size_t first = granule / 2 * 2 * kLanes;
    const auto row = [&](std::size_t k) {
      return whole || rows.has(first + k) ? rows.values + rows.offset[first + k] : nullptr;
    };
    alignas(64) float inverses[2 * kLanes];
    for (std::size_t k = 0; k < 2 * kLanes; k += kLanes) {
      const Rounding rounding = rounding_of(kMostValue, [&](std::size_t i) { return row(k + i); });
      store(inverses + k, rounding.inverse);
      store(tile.value_scales + first + k, rounding.scale);
    }
    float* to = own_values(granule);
    for (std::size_t k = 0; k < kLanes; ++k, to += width) {
      for (std::size_t d = 0; d < width; d += kLanes) {
        const auto value = [&](std::size_t i) {
          if (row(i) == nullptr) return Ints{};
          return nearest(load_plain<KvPrecision::f32>(row(i), d, unit.head_dim), inverses[i]);
        };
        store_ints(to + d, paired(value(k), value(k + kLanes)));
      }
    }
  }

  // score() and weigh() are compiled apart: inlined into one function their sums leave the registers.

  /// scores[r, :] = query[r, :] · keys for R queries and V granules from `granule` on.
  template <std::size_t R, std::size_t V>
  __attribute__((noinline)) void score(std::size_t first, std::size_t granule) {
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

  /// Makes weights of the scores of `count` queries from `first` on. Compiled once, as soften() of one query.
  __attribute__((noinline)) void soften(std::size_t first, std::size_t count) {
    Ints largest[kLanes] = {};
    for (std::size_t r = 0; r < count; ++r) largest[r] = weights_of(first + r, s.scores + r * kTile);
    const Rounding rounding = Rounding::up_to(kMostWeight, lane_maxima(largest, count));
    alignas(64) float scales[kLanes], inverses[kLanes];
    store(scales, rounding.scale);
    store(inverses, rounding.inverse);
    for (std::size_t r = 0; r < count; ++r) {
      float* weights = s.scores + r * kTile;
      for (std::size_t g = 0; g < kGranules; g += 2) {
        store_ints(weights + g / 2 * kLanes, paired(nearest(load(weights + g * kLanes), inverses[r]),
                                                    nearest(load(weights + (g + 1) * kLanes), inverses[r])));
      }
      weights[kTile / 2] = scales[r];
    }
  }

  /// out[r, :] = out[r, :] + weights[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  __attribute__((noinline)) void weigh(std::size_t first, std::size_t column) {
    IntRegister sums[R][V * kParts] = {};
    const std::size_t last = (tile.end - 1) / 2, left = tile.keys_end - 2 * last * kLanes;
    const std::size_t begin = tile.first / 2 * kLanes, end = last * kLanes + (left < kLanes ? left : kLanes);
    const float* at = values + begin * width + column;
    for (std::size_t j = begin; j < end; ++j, at += width) {
      IntRegister value[V * kParts];
      MMBATCH_UNROLLED(V * kParts, c) {
        value[c] = load_register<IntRegister>(at + c * kRegisterLanes);
      });
      MMBATCH_UNROLLED(R, r) {
        add_products<V>(splat_four_bytes(s.scores + r * kTile + j), value, sums[r]);
      });
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

  /// Of sixteen rows; null: there is none.
  template <class Row>
  Rounding rounding_of(float integer, const Row& row) const {
    Ints magnitudes[kLanes];
    for (std::size_t k = 0; k < kLanes; ++k)
      magnitudes[k] = row(k) != nullptr ? Rounding::magnitudes(row(k), unit.head_dim) : Ints{};
    return Rounding::up_to(integer, lane_maxima(magnitudes, kLanes));
  }

  /// Puts the weights of a tile's keys, times the values' scales, where the scores were. The bits of the
  /// largest ones are returned; a value that is not a number has made them so, whatever its weight.
  Ints weights_of(std::size_t q, float* scores) const {
    Floats v[kGranules];
    weigh_keys(*this, q, scores, v);
#pragma GCC unroll 4
    for (std::size_t k = 0; k < kGranules; ++k) store(scores + k * kLanes, v[k]);
    return larger(larger((Ints)v[0], (Ints)v[1]), larger((Ints)v[2], (Ints)v[3]));
  }

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
