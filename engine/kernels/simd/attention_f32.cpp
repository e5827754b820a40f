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

  /// Brings keys and values of the tile's positions from `first` to before `end` into it; the rest becomes
  /// zero. What lies before the window of all queries may have lost its memory.
  template <KvPrecision format>
  void gather(std::size_t tile, std::size_t first, std::size_t end) {
    const std::byte* key[kTile];
    for (std::size_t j = 0; j < kTile; ++j) {
      float* value = values + j * width;
      key[j] = nullptr;
      if (tile + j >= first && tile + j < end) {
        const std::size_t offset = row_offset(unit.rows, tile + j);
        key[j] = unit.rows.keys + offset;
        const std::byte* from = unit.rows.values + offset;
        for (std::size_t d = 0; d < width; d += kLanes)
          store(value + d, load_cached<format>(from, d, unit.head_dim));
      } else {
        for (std::size_t d = 0; d < width; d += kLanes) store(value + d, Floats{});
      }
    }
    for (std::size_t d = 0; d < width; d += kLanes) {
      for (std::size_t j = 0; j < kTile; j += kLanes) {
        Floats rows[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i)
          rows[i] = key[j + i] != nullptr ? load_cached<format>(key[j + i], d, unit.head_dim) : Floats{};
        transpose16(rows, keys + d * kTile + j, kTile);
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
      for (std::size_t v = 0; v < kTileVectors; ++v)
        store(s.scores + (first + r) * kTile + v * kLanes, sums[r][v]);
    }
  }

  void put_weights(std::size_t q, const Floats (&weights)[kTileVectors]) {
    for (std::size_t k = 0; k < kTileVectors; ++k) store(s.scores + q * kTile + k * kLanes, weights[k]);
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
        const Floats p = splat(s.scores[(first + r) * kTile + j]);
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
