#include "engine/kernels/simd/attention_tiles.h"

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
  static Floats power(Floats x) { return exp_of_negative(x); }

  static std::size_t scratch(std::size_t width) {
    return RunningSoftmax::floats(width) + width * (2 * kTile + kQueries);
  }
  Float32(const AttentionUnit& unit_, float* p)
      : unit(unit_), width(padded(unit_.head_dim)), s(p, width), keys(p + RunningSoftmax::floats(width)) {
    values = keys + width * kTile;
    query = values + kTile * width;
  }
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
    Floats sums[R][V] = {};
    const float* q = query + first * unit.head_dim;
    for (std::size_t d = 0; d < unit.head_dim; ++d) {
      Floats key[V];
      for (std::size_t v = 0; v < V; ++v) {
        key[v] = load(tile.keys[granule + v] + d * kLanes);
        fetch(tile.next_keys[granule + v] + d * kLanes);
      }
      for (std::size_t r = 0; r < R; ++r) {
        const Floats x = splat(q[r * unit.head_dim + d]);
        for (std::size_t v = 0; v < V; ++v) sums[r][v] = sums[r][v] + x * key[v];
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < V; ++v) store(s.scores + r * kTile + (granule + v) * kLanes, sums[r][v]);
    }
  }

  static void put_weights(const Floats (&weights)[kGranules], float* to) {
    for (std::size_t k = 0; k < kGranules; ++k) store(to + k * kLanes, weights[k]);
  }

  /// out[r, :] = out[r, :] + scores[r, :] · values for R queries and V vectors of columns from `column` on.
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
      const float* weights = s.scores + g * kLanes;
      for (std::size_t j = 0; j < kLanes; ++j) {
        Floats value[V];
        for (std::size_t v = 0; v < V; ++v) {
          value[v] = load(tile.values[g] + j * width + column + v * kLanes);
          fetch(tile.next_values[g] + j * width + column + v * kLanes);
        }
        for (std::size_t r = 0; r < R; ++r) {
          const Floats p = splat(weights[r * kTile + j]);
          for (std::size_t v = 0; v < V; ++v) sums[r][v] = sums[r][v] + p * value[v];
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

void attention_f32(const AttentionUnit& unit, float* scratch) {
  attend<Float32>(unit, scratch);
}

std::size_t attention_scratch(std::size_t head_dim) {
  // bfloat16 takes less, but pads head_dim to twice as many lanes.
  return Float32::scratch(padded(head_dim) + kLanes);
}

}  // namespace mmbatch::MMBATCH_ISA
