#include "engine/kernels/simd/attention_tiles.h"
#include "engine/kernels/simd/blocks/registers.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Products and sums in float32.
struct Float32 {
  const AttentionUnit& unit;
  std::size_t width;
  RunningSoftmax s;
  Tile tile;    // keys: [head_dim, kLanes]; values: [kLanes, padded]
  float* keys;  // of a tile that the cache does not hold so
  float* values;
  float* query;  // [kQueries, head_dim], scaled

  static constexpr KvPrecision kFormat = KvPrecision::f32;
  static constexpr float kScoreUnit = 1.0f;
  static Floats power(Floats x) { return exp_or_zero(x); }

  static std::size_t scratch(std::size_t width) {
    return RunningSoftmax::floats(width) + width * (2 * kTile + kQueries);
  }
  Float32(const AttentionUnit& unit_, float* p)
      : unit(unit_), width(padded(unit_.head_dim)), s(p, width), keys(p + RunningSoftmax::floats(width)) {
    values = keys + width * kTile;
    query = values + kTile * width;
  }
  bool takes_keys_as_stored() const { return true; }
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
  void expand_keys(const std::byte* granule, const std::byte* next, std::size_t g) {
    constexpr std::size_t kStep = 2 * kLanes * element_bytes(format);
    float* to = own_keys(g);
    for (std::size_t i = 0; i < unit.head_dim / 2; ++i) {
      fetch(next + i * kStep, kStep);
      const FloatPairs some = key_pairs<format>(granule, i);
      store(to + 2 * i * kLanes, some.even);
      store(to + (2 * i + 1) * kLanes, some.odd);
    }
  }

  template <KvPrecision format>
  void expand_values(const std::byte* granule, const std::byte* next, const TilePart& part, std::size_t g) {
    const std::size_t step = 2 * unit.head_dim * element_bytes(format);
    float* to = own_values(g);
    for (std::size_t j = 0; j < kLanes / 2; ++j) {
      fetch(next + j * step, step);
      const bool even = part.has(g * kLanes + 2 * j), odd = part.has(g * kLanes + 2 * j + 1);
      for (std::size_t d = 0; d < width; d += kLanes) {
        const FloatPairs some = value_pairs<format>(granule, j, d, unit.head_dim);
        store(to + 2 * j * width + d, even ? some.even : Floats{});
        store(to + (2 * j + 1) * width + d, odd ? some.odd : Floats{});
      }
    }
  }

  /// scores[r, :] = query[r, :] · keys for R queries and V granules from `granule` on.
  template <std::size_t R, std::size_t V>
  void score(std::size_t first, std::size_t granule) {
    FloatRegister sums[R][V * kParts] = {};
    const float* q = query + first * unit.head_dim;
    for (std::size_t d = 0; d < unit.head_dim; ++d) {
      FloatRegister key[V * kParts];
      MMBATCH_UNROLLED(V * kParts, i) {
        const std::size_t g = granule + i / kParts, at = d * kLanes + i % kParts * kRegisterLanes;
        key[i] = load_register<FloatRegister>(tile.keys[g] + at);
        if constexpr (i % kParts == 0) fetch(tile.next_keys[g] + at);
      });
      MMBATCH_UNROLLED(R, r) {
        add_product<V>(splat_register(q + r * unit.head_dim + d), key, sums[r]);
      });
    }
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(V * kParts, i) {
        store_register(s.scores + r * kTile + granule * kLanes + i * kRegisterLanes, sums[r][i]);
      });
    });
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
      const float* weights = s.scores + g * kLanes;
      for (std::size_t j = 0; j < kLanes; ++j) {
        FloatRegister value[V * kParts];
        MMBATCH_UNROLLED(V * kParts, i) {
          const std::size_t at = j * width + column + i * kRegisterLanes;
          value[i] = load_register<FloatRegister>(tile.values[g] + at);
          if constexpr (i % kParts == 0) fetch(tile.next_values[g] + at);
        });
        MMBATCH_UNROLLED(R, r) {
          add_product<V>(splat_register(weights + r * kTile + j), value, sums[r]);
        });
      }
    }
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(V * kParts, i) {
        store_register(out + r * width + i * kRegisterLanes, sums[r][i]);
      });
    });
  }

 private:
  static constexpr std::size_t kParts = kLanes / kRegisterLanes;  // registers of sixteen floats

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
  // bfloat16 takes less, but pads head_dim to twice as many lanes.
  return Float32::scratch(padded(head_dim) + kLanes);
}

}  // namespace mmbatch::MMBATCH_ISA
