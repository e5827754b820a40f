#include "engine/kernels/simd/attention/tiles.h"
#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Products and sums in float32.
struct Float32 {
  template <class Rows>
  static constexpr bool takes(KvPrecision) {
    return true;
  }
  const AttentionUnit& unit;
  std::size_t width;
  RunningSoftmax s;
  Tile tile;           // what the cache holds in granules, there; else floats, as granules hold them
  KvPrecision stored;  // format of what is read in the cache
  float* keys;         // floats of a tile: [head_dim, kLanes] of each granule
  float* values;       // [kLanes, padded]
  float* query;        // [kQueries, head_dim], scaled

  /// So many meet bytes as they are stored; for more it pays to make them floats first.
  static constexpr std::size_t kFewQueries = 32;
  static constexpr float kScoreUnit = 1.0f;
  static Floats power(Floats x) { return exp_or_zero(x); }

  static std::size_t scratch(std::size_t width) {
    return RunningSoftmax::floats(width) + width * (2 * kTile + kQueries);
  }
  Float32(const AttentionUnit& unit_, float* p)
      : unit(unit_), width(padded(unit_.head_dim)), s(p, width), keys(p + RunningSoftmax::floats(width)) {
    values = keys + width * kTile;
    query = values + kTile * width;
    const KvPrecision format = unit.rows.layout.format;
    const bool as_it_is =
        unit.rows.layout.form == RowLayout::Form::granules &&
        (!kv_scaled(format) || (format == KvPrecision::int8 && unit.queries <= kFewQueries));
    stored = as_it_is ? format : KvPrecision::f32;
  }
  void complete() {}
  float* own_keys(std::size_t g) const { return keys + g * width * kLanes; }
  float* own_values(std::size_t g) const { return values + g * kLanes * width; }

  void take_query(std::size_t q) {
    for (std::size_t d = 0; d < unit.head_dim; ++d)
      query[q * unit.head_dim + d] = unit.query[q][d] * unit.scale;
  }

  template <KvPrecision format, bool whole>
  static Floats row(const TileRows& rows, const std::byte* from, std::size_t j, std::size_t d,
                    std::size_t head_dim) {
    return whole || rows.has(j) ? load_plain<format>(from + rows.offset[j], d, head_dim) : Floats{};
  }

  template <KvPrecision format, bool whole>
  void gather_keys(const TileRows& rows, std::size_t g) {
    for (std::size_t d = 0; d < width; d += kLanes) {
      Floats key[kLanes];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < kLanes; ++i)
        key[i] = row<format, whole>(rows, rows.keys, g * kLanes + i, d, unit.head_dim);
      transpose16(key, own_keys(g) + d * kLanes);
    }
  }

  template <KvPrecision format, bool whole>
  void gather_values(const TileRows& rows, std::size_t g) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      for (std::size_t d = 0; d < width; d += kLanes)
        store(own_values(g) + i * width + d,
              row<format, whole>(rows, rows.values, g * kLanes + i, d, unit.head_dim));
    }
  }

  template <KvPrecision format>
  const float* keys_of(const std::byte* granule, std::size_t g) {
    if (format == stored) return reinterpret_cast<const float*>(granule);
    float* to = own_keys(g);
    for (std::size_t i = 0; i < unit.head_dim / 2; ++i) {
      const FloatPairs some = key_pairs<format>(granule, i);
      store(to + 2 * i * kLanes, some.even);
      store(to + (2 * i + 1) * kLanes, some.odd);
    }
    return to;
  }

  /// Values of keys that are not there must be zero, since a granule may hold anything in their place; int8
  /// needs no copy: any byte is a number, and its scale is zero.
  template <KvPrecision format>
  const float* values_of(const std::byte* granule, const TilePart& part, std::size_t g) {
    if (format == stored && (format == KvPrecision::int8 || part.whole(g)) && width == unit.head_dim)
      return reinterpret_cast<const float*>(granule);
    float* to = own_values(g);
    for (std::size_t j = 0; j < kLanes / 2; ++j) {
      const bool even = part.has(g * kLanes + 2 * j), odd = part.has(g * kLanes + 2 * j + 1);
      for (std::size_t d = 0; d < width; d += kLanes) {
        const FloatPairs some = value_pairs<format>(granule, j, d, unit.head_dim);
        store(to + 2 * j * width + d, even ? some.even : Floats{});
        store(to + (2 * j + 1) * width + d, odd ? some.odd : Floats{});
      }
    }
    return to;
  }

  /// scores[r, :] = query[r, :] · keys for R queries and V granules from `granule` on.
  template <std::size_t R, std::size_t V>
  void score(std::size_t first, std::size_t granule) {
    FloatRegister sums[R][V * kParts] = {};
    if (stored == KvPrecision::f32) add_scores<Singles, R, V>(first, granule, sums);
    if (stored == KvPrecision::bf16) add_scores<Pairs, R, V>(first, granule, sums);
    if (stored == KvPrecision::int8) add_scores<BytePairs, R, V>(first, granule, sums);
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(V * kParts, i) {
        store_register(s.scores + r * kTile + granule * kLanes + i * kRegisterLanes, sums[r][i]);
      });
    });
  }

  void soften(std::size_t first, std::size_t count) {
    for (std::size_t r = 0; r < count; ++r) soften_one(*this, first + r, s.scores + r * kTile);
  }
  static void put_weights(const Floats (&weights)[kGranules], float* to) {
    for (std::size_t k = 0; k < kGranules; ++k) store(to + k * kLanes, weights[k]);
  }

  /// out[r, :] = out[r, :] + scores[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  void weigh(std::size_t first, std::size_t column) {
    FloatRegister sums[R][V * kParts];
    float* out = s.out + first * width + column;
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(V * kParts, i) {
        sums[r][i] = load_register<FloatRegister>(out + r * width + i * kRegisterLanes);
      });
    });
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      const KvPrecision format = tile.values[g] == own_values(g) ? KvPrecision::f32 : stored;
      if (format == KvPrecision::f32) add_values<Singles, R, V>(g, column, sums);
      if (format == KvPrecision::bf16) add_values<Pairs, R, V>(g, column, sums);
      if (format == KvPrecision::int8) add_values<BytePairs, R, V>(g, column, sums);
    }
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(V * kParts, i) {
        store_register(out + r * width + i * kRegisterLanes, sums[r][i]);
      });
    });
  }

 private:
  static constexpr std::size_t kParts = kLanes / kRegisterLanes;  // registers of sixteen floats

  /// What granules hold: floats, or pairs of neighbours, bfloat16 or bytes. kBytes in a lane, which are
  /// kCount elements.
  struct Singles {
    static constexpr std::size_t kBytes = 4, kCount = 1;
    MMBATCH_INLINE IntRegister load(const std::byte* p) { return load_register<IntRegister>(p); }
    template <std::size_t i>
    MMBATCH_INLINE FloatRegister of(IntRegister words) {
      return (FloatRegister)words;
    }
  };
  struct Pairs {
    static constexpr std::size_t kBytes = 4, kCount = 2;
    MMBATCH_INLINE IntRegister load(const std::byte* p) { return load_register<IntRegister>(p); }
    template <std::size_t i>
    MMBATCH_INLINE FloatRegister of(IntRegister words) {
      return (FloatRegister)(i == 0 ? words << 16 : words & -65536);
    }
  };
  struct BytePairs {
    static constexpr std::size_t kBytes = 2, kCount = 2;
    MMBATCH_INLINE IntRegister load(const std::byte* p) { return load_byte_pairs(p); }
    template <std::size_t i>
    MMBATCH_INLINE FloatRegister of(IntRegister words) {
      return to_floats(i == 0 ? (words << 24) >> 24 : words >> 8);
    }
  };

  template <class Words, std::size_t R, std::size_t V>
  __attribute__((always_inline)) void add_scores(std::size_t first, std::size_t granule,
                                                 FloatRegister (&sums)[R][V * kParts]) {
    constexpr std::size_t kCount = Words::kCount, kPartBytes = kRegisterLanes * Words::kBytes;
    const std::size_t row_bytes = unit.head_dim * sizeof(float);
    auto rows = RowWords<R>::of(reinterpret_cast<const std::byte*>(query) + first * row_bytes, row_bytes);
    const std::size_t next_step = kCount * kLanes * tile.next_bytes;
    const std::byte *at[V], *next[V];
    MMBATCH_UNROLLED(V, v) {
      at[v] = reinterpret_cast<const std::byte*>(tile.keys[granule + v]);
      next[v] = tile.next_keys[granule + v];
    });
    for (std::size_t d = 0; d < unit.head_dim; d += kCount) {
      IntRegister words[V * kParts];
      MMBATCH_UNROLLED(V * kParts, i) {
        words[i] = Words::load(at[i / kParts] + i % kParts * kPartBytes);
      });
      MMBATCH_UNROLLED(V, v) {
        fetch(next[v]);
        at[v] += kLanes * Words::kBytes;
        next[v] += next_step;
      });
      MMBATCH_UNROLLED(kCount, e) {
        FloatRegister key[V * kParts];
        MMBATCH_UNROLLED(V * kParts, i) {
          key[i] = Words::template of<e>(words[i]);
        });
        MMBATCH_UNROLLED(R, r) {
          add_product<V>(splat_register(rows.at(r, e * sizeof(float))), key, sums[r]);
        });
      });
      rows.move(kCount * sizeof(float));
    }
  }

  template <class Words, std::size_t R, std::size_t V>
  __attribute__((always_inline)) void add_values(std::size_t g, std::size_t column,
                                                 FloatRegister (&sums)[R][V * kParts]) {
    constexpr std::size_t kCount = Words::kCount, kPartBytes = kRegisterLanes * Words::kBytes;
    const float* weights = s.scores + g * kLanes;
    const std::byte* at = reinterpret_cast<const std::byte*>(tile.values[g]) + column * Words::kBytes;
    const std::size_t next_bytes = kCount * tile.next_bytes;
    const std::byte* next = tile.next_values[g] + column * next_bytes;
    for (std::size_t j = 0; j < kLanes; j += kCount, weights += kCount) {
      IntRegister words[V * kParts];
      MMBATCH_UNROLLED(V * kParts, i) {
        words[i] = Words::load(at + i * kPartBytes);
        if constexpr (i % kParts == 0) fetch(next + i * kRegisterLanes * next_bytes);
      });
      at += width * Words::kBytes;
      next += width * next_bytes;
      MMBATCH_UNROLLED(kCount, e) {
        FloatRegister value[V * kParts];
        MMBATCH_UNROLLED(V * kParts, i) {
          value[i] = Words::template of<e>(words[i]);
        });
        MMBATCH_UNROLLED(R, r) {
          add_product<V>(splat_register(weights + r * kTile + e), value, sums[r]);
        });
      });
    }
  }

  /// sums = sums + factor · values
  template <std::size_t V>
  MMBATCH_INLINE void add_product(FloatRegister factor, const FloatRegister (&values)[V * kParts],
                                  FloatRegister (&sums)[V * kParts]) {
    MMBATCH_UNROLLED(V * kParts, i) {
      sums[i] = sums[i] + factor * values[i];
    });
  }
};

}  // namespace

void attention_f32(const AttentionUnit& unit, float* scratch) {
  attend<Float32>(unit, scratch);
}

std::size_t attention_scratch(std::size_t head_dim) {
  // bfloat16 and int16 take less, but pad head_dim to twice as many lanes.
  return Float32::scratch(padded(head_dim) + kLanes);
}

}  // namespace mmbatch::MMBATCH_ISA
