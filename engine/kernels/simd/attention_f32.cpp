#include "engine/kernels/simd/attention_tiles.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Products and sums in float32.
struct Float32 {
  const AttentionUnit& unit;
  std::size_t width;
  RunningSoftmax s;
  float* keys;    // [padded, kTile]: the tile's keys, transposed
  float* values;  // [kTile, padded]
  float* query;   // [kQueries, head_dim], scaled

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

  void take_query(std::size_t q) {
    for (std::size_t d = 0; d < unit.head_dim; ++d)
      query[q * unit.head_dim + d] = unit.query[q][d] * unit.scale;
  }

  template <KvPrecision format, bool whole>
  void gather(const TileRows& rows, const TileRows& next) {
    for (std::size_t j = 0; j < kTile; ++j) {
      next.prefetch(unit.rows.keys, j, kv_row_bytes(format, unit.head_dim));
      next.prefetch(unit.rows.values, j, kv_row_bytes(format, unit.head_dim));
    }
    const auto row = [&](const std::byte* from, std::size_t j, std::size_t d) {
      return whole || rows.has(j) ? load_cached<format>(from + rows.offset[j], d, unit.head_dim) : Floats{};
    };
    for (std::size_t d = 0; d < width; d += kLanes) {
      for (std::size_t j = 0; j < kTile; ++j) store(values + j * width + d, row(unit.rows.values, j, d));
      for (std::size_t j = 0; j < kTile; j += kLanes) {
        Floats key[kLanes];
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kLanes; ++i) key[i] = row(unit.rows.keys, j + i, d);
        transpose16(key, keys + d * kTile + j, kTile);
      }
    }
  }

  /// scores[r, :] = query[r, :] · keys for R queries.
  template <std::size_t R>
  void score(std::size_t first) {
    Floats sums[R][kTileVectors] = {};
    const float* q = query + first * unit.head_dim;
    for (std::size_t d = 0; d < unit.head_dim; ++d) {
      const float* key = keys + d * kTile;
      for (std::size_t r = 0; r < R; ++r) {
        const Floats x = splat(q[r * unit.head_dim + d]);
        for (std::size_t v = 0; v < kTileVectors; ++v) sums[r][v] = sums[r][v] + x * load(key + v * kLanes);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < kTileVectors; ++v) store(s.scores + r * kTile + v * kLanes, sums[r][v]);
    }
  }

  static void put_weights(const Floats (&weights)[kTileVectors], float* to) {
    for (std::size_t k = 0; k < kTileVectors; ++k) store(to + k * kLanes, weights[k]);
  }

  /// out[r, :] = out[r, :] + scores[r, :] · values for R queries and V vectors of columns from `column` on.
  template <std::size_t R, std::size_t V>
  void weigh_columns(std::size_t first, std::size_t column) {
    Floats sums[R][V];
    float* out = s.out + first * width + column;
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) sums[r][v] = load(out + r * width + v * kLanes);
    }
    for (std::size_t j = 0; j < kTile; ++j) {
      const float* value = values + j * width + column;
      for (std::size_t r = 0; r < R; ++r) {
        const Floats p = splat(s.scores[r * kTile + j]);
        for (std::size_t v = 0; v < V; ++v) sums[r][v] = sums[r][v] + p * load(value + v * kLanes);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
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
