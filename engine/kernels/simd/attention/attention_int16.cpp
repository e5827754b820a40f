#include "engine/kernels/simd/attention/rounding.h"
#include "engine/kernels/simd/attention/tiles.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
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

/// Products of integers of sixteen bits, exact in any order; softmax in float32. Each row of queries is
/// rounded to at least eleven bits of its largest magnitude, and so are uncached rows of keys and values, as
/// the cache rounds the others, and the weights that a query gives to the keys of a tile.
/// @tparam cached whether a cache holds keys and values, as integers, or they are uncached
template <bool cached>
struct Int16 {
  template <class Rows>
  static constexpr bool takes(KvPrecision format) {
    return cached ? kv_scaled(format) : Rows::kPlain && format == KvPrecision::f32;
  }
  static constexpr float kScoreUnit = 1.44269504f;  // powers of two
  static Floats power(Floats x) { return exp2(x); }

  const AttentionUnit& unit;
  std::size_t width;  // padded head_dim
  std::size_t pairs;  // of the padded head_dim: a multiple of kLanes
  RunningSoftmax s;   // weights are put where the scores were, as pairs, and their scale behind them
  Tile tile;          // keys: pairs [pairs, kLanes]; values: pairs [kLanes / 2, padded]
  float* keys;        // of a tile that the cache does not hold so
  float* values;
  float* query;         // pairs [kQueries, pairs]
  float* query_scales;  // [kQueries]

  Int16(const AttentionUnit& unit_, float* p)
      : unit(unit_),
        width(padded(unit_.head_dim)),
        pairs((unit_.head_dim + 2 * kLanes - 1) / (2 * kLanes) * kLanes),
        s(p, width),
        keys(p + RunningSoftmax::floats(width)),
        values(keys + pairs * kTile),
        query(values + kTile / 2 * width),
        query_scales(query + kQueries * pairs) {}
  float* own_keys(std::size_t g) const { return keys + g * pairs * kLanes; }
  float* own_values(std::size_t g) const { return values + g * kLanes / 2 * width; }

  /// Scores are multiplied by keys' scales where they are made; a granule that no query sees has no scales.
  void complete() {
    tile.keys_scaled = false;
    tile.values_scaled = true;
    for (std::size_t g = 0; g < kGranules; ++g) {
      if (g < tile.first || g >= tile.end) store(tile.value_scales + g * kLanes, Floats{});
    }
  }

  /// Elements d … d + 31 of a row, which `factor` makes integers if they are none.
  template <KvPrecision format>
  Ints row_pairs(const std::byte* row, std::size_t d, float factor) const {
    const auto some = [&](std::size_t at) {
      if constexpr (format == KvPrecision::f32)
        return nearest(load_plain<format>(row, at, unit.head_dim), factor);
      else
        return load_plain_halves<format>(row, at, unit.head_dim);
    };
    return joined_halves(some(d), some(d + kLanes));
  }

  /// Takes sixteen queries where the first of them is asked for.
  void take_query(std::size_t q) {
    if (q % kLanes != 0) return;
    const std::size_t count = unit.queries - q < kLanes ? unit.queries - q : kLanes;
    const auto row = [&](std::size_t k) { return reinterpret_cast<const std::byte*>(unit.query[q + k]); };
    const Rounding rounding =
        rounding_of(largest_key(unit.head_dim), [&](std::size_t k) { return k < count ? row(k) : nullptr; });
    const float scale = unit.softcap > 0.0f ? unit.scale : unit.scale * kScoreUnit;
    alignas(64) float scales[kLanes], inverses[kLanes];
    store(scales, rounding.scale * scale);
    store(inverses, rounding.inverse);
    for (std::size_t k = 0; k < count; ++k) {
      query_scales[q + k] = scales[k];
      for (std::size_t i = 0; i < pairs; i += kLanes)
        store_ints(query + (q + k) * pairs + i, row_pairs<KvPrecision::f32>(row(k), 2 * i, inverses[k]));
    }
  }

  template <KvPrecision format, bool whole>
  void gather_keys(const TileRows& rows, std::size_t g) {
    const auto row = [&](std::size_t k) {
      const std::size_t j = g * kLanes + k;
      return whole || rows.has(j) ? rows.keys + rows.offset[j] : nullptr;
    };
    alignas(64) float inverses[kLanes];
    if constexpr (format == KvPrecision::f32) {
      const Rounding rounding = rounding_of(largest_key(unit.head_dim), row);
      store(inverses, rounding.inverse);
      store(tile.key_scales + g * kLanes, rounding.scale);
    }
    for (std::size_t i = 0; i < pairs; i += kLanes) {
      Floats key[kLanes];
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kLanes; ++k)
        key[k] = row(k) != nullptr ? (Floats)row_pairs<format>(row(k), 2 * i, inverses[k]) : Floats{};
      transpose16(key, own_keys(g) + i * kLanes);
    }
  }

  template <KvPrecision format, bool whole>
  void gather_values(const TileRows& rows, std::size_t g) {
    const auto row = [&](std::size_t k) {
      const std::size_t j = g * kLanes + k;
      return whole || rows.has(j) ? rows.values + rows.offset[j] : nullptr;
    };
    alignas(64) float inverses[kLanes];
    if constexpr (format == KvPrecision::f32) {
      const Rounding rounding = rounding_of(kMostValue, row);
      store(inverses, rounding.inverse);
      store(tile.value_scales + g * kLanes, rounding.scale);
    }
    float* to = own_values(g);
    for (std::size_t k = 0; k < kLanes; k += 2, to += width) {
      for (std::size_t d = 0; d < width; d += kLanes) {
        const auto value = [&](std::size_t i) {
          if (row(i) == nullptr) return Ints{};
          if constexpr (format == KvPrecision::f32)
            return nearest(load_plain<format>(row(i), d, unit.head_dim), inverses[i]);
          else
            return load_plain_halves<format>(row(i), d, unit.head_dim);
        };
        store_ints(to + d, paired(value(k), value(k + 1)));
      }
    }
  }

  template <KvPrecision format>
  const float* keys_of(const std::byte* granule, std::size_t g) {
    if constexpr (format == KvPrecision::int16) return reinterpret_cast<const float*>(granule);
    constexpr std::size_t kStep = 2 * kLanes;
    float* to = own_keys(g);
    const std::byte* next = tile.next_keys[g];
    for (std::size_t i = 0; i < unit.head_dim / 2; ++i) {
      fetch(next + i * kStep, kStep);
      store_ints(to + i * kLanes, halves_of_bytes(granule + i * kStep));
    }
    tile.next_keys[g] = reinterpret_cast<const std::byte*>(to);  // all has been asked for
    return to;
  }

  /// Values of keys that are not there may be any numbers: their scales are zero.
  template <KvPrecision format>
  const float* values_of(const std::byte* granule, const TilePart&, std::size_t g) {
    if (format == KvPrecision::int16 && width == unit.head_dim)
      return reinterpret_cast<const float*>(granule);
    constexpr std::size_t kBytes = 2 * kv_element_bytes(format);  // of a pair
    float* to = own_values(g);
    const std::byte* next = tile.next_values[g];
    for (std::size_t j = 0; j < kLanes / 2; ++j) {
      const std::size_t row = j * unit.head_dim * kBytes;
      fetch(next + row, unit.head_dim * kBytes);
      for (std::size_t d = 0; d < width; d += kLanes) {
        alignas(64) std::byte copy[4 * kLanes];
        const std::byte* from =
            columns(granule + row + d * kBytes, (unit.head_dim - d) * kBytes, kLanes * kBytes, copy);
        if constexpr (format == KvPrecision::int16)
          store_ints(to + j * width + d, load_ints(from));
        else
          store_ints(to + j * width + d, halves_of_bytes(from));
      }
    }
    tile.next_values[g] = reinterpret_cast<const std::byte*>(to);
    return to;
  }

  // score() and weigh() are compiled apart: inlined into one function their sums leave the registers.

  /// scores[r, :] = query[r, :] · keys for R queries and V granules from `granule` on.
  template <std::size_t R, std::size_t V>
  __attribute__((noinline)) void score(std::size_t first, std::size_t granule) {
    IntRegister sums[R][V * kParts] = {};
    auto rows =
        RowWords<R>::of(reinterpret_cast<const std::byte*>(query + first * pairs), pairs * sizeof(float));
    const float* at[V];
    const std::byte* next[V];
    MMBATCH_UNROLLED(V, v) {
      at[v] = tile.keys[granule + v];
      next[v] = tile.next_keys[granule + v];
    });
    const std::size_t count = (unit.head_dim + 1) / 2;
    for (std::size_t i = 0; i < count; ++i) {
      IntRegister key[V * kParts];
      MMBATCH_UNROLLED(V * kParts, c) {
        key[c] = load_register<IntRegister>(at[c / kParts] + i * kLanes + c % kParts * kRegisterLanes);
        if constexpr (cached && c % kParts == 0) fetch(next[c / kParts] + i * sizeof(Ints));
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
        store_ints(weights + g / 2 * kLanes,
                   joined_halves(nearest(load(weights + g * kLanes), inverses[r]),
                                 nearest(load(weights + (g + 1) * kLanes), inverses[r])));
      }
      weights[kTile / 2] = scales[r];
    }
  }

  /// out[r, :] = out[r, :] + weights[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  __attribute__((noinline)) void weigh(std::size_t first, std::size_t column) {
    IntRegister sums[R][V * kParts] = {};
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      const float* weights = s.scores + g * kLanes / 2;
      const float* at = tile.values[g] + column;
      const std::byte* next = tile.next_values[g] + column * sizeof(float);
      for (std::size_t j = 0; j < kLanes / 2; ++j, at += width, next += width * sizeof(float)) {
        IntRegister value[V * kParts];
        MMBATCH_UNROLLED(V * kParts, c) {
          value[c] = load_register<IntRegister>(at + c * kRegisterLanes);
          if constexpr (cached && c % kParts == 0) fetch(next + c * kRegisterLanes * sizeof(float));
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
  if (unit.rows.layout.form == RowLayout::Form::uncached)
    attend<Int16<false>>(unit, scratch);
  else if (kv_scaled(unit.rows.layout.format))
    attend<Int16<true>>(unit, scratch);
  else
    attention_f32(unit, scratch);
}

}  // namespace mmbatch::MMBATCH_ISA
