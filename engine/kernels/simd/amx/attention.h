#pragma once

// Attention in bfloat16 with AMX: sixteen queries at a time, whose scores with sixteen keys are a tile, and
// whose sums of sixteen columns are one. A granule of keys, see RowLayout, is tiles as it lies, sixteen pairs
// of elements each, or is copied to where zeros fill the last one up; one of values is half as deep.

#include "engine/kernels/simd/amx/tiles.h"
#include "engine/kernels/simd/attention_tiles.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_BF16__)

/// Products: the arithmetic without tiles, of which all else is taken.
template <class Products>
struct AmxAttention : Products {
  AmxAttention(const AttentionUnit& unit, float* scratch) : Products(unit, scratch) {
    for (std::size_t g = 0; g < kGranules; ++g) {
      for (std::size_t pair = unit.head_dim / 2; pair < this->pairs; ++pair)
        store(this->own_keys(g) + pair * kLanes, Floats{});
    }
  }
  ~AmxAttention() { _tile_release(); }

  /// Whether keys are whole tiles as they lie in a granule.
  bool takes_keys_as_stored() const { return this->unit.head_dim == 2 * this->pairs; }

  /// Queries first … first + count - 1, at most kAmxRows, all of which see the tile of keys.
  void take_queries(std::size_t first, std::size_t count, std::size_t position) {
    Products& products = *this;
    if (count != rows_) shape(count);
    AmxShapes::written();
    score(first);
    for (std::size_t r = 0; r < count; ++r) {
      float* scores = this->s.scores + r * kTile;
      if (special(products, first + r, position)) adjust(products, first + r, position, scores);
      soften(products, first + r, scores);
    }
    AmxShapes::written();
    weigh(first);
    this->tile.fetch_nothing();
  }

 private:
  static constexpr std::size_t kDepth = kLanes / 2;  // of a granule of values, in words
  std::size_t rows_ = 0;                             // that tiles are shaped for

  /// Tiles 0 to 3: sums; 4: queries, 5: weights of values; 6: keys, 7: values.
  void shape(std::size_t rows) {
    AmxShapes::Shapes shapes;
    const auto queries = static_cast<std::uint8_t>(rows);
    for (std::size_t tile = 0; tile < 8; ++tile) {
      shapes.rows[tile] = tile < 6 ? queries : tile == 6 ? kAmxRows : kDepth;
      shapes.row_bytes[tile] = tile == 5 ? 4 * kDepth : kAmxRowBytes;
    }
    AmxShapes::load(shapes);
    rows_ = rows;
  }

  /// Scores of all keys of the tile. A granule that no query sees may have lost its memory: one that is seen
  /// stands in for it, and adjust() takes its scores out.
  void score(std::size_t first) {
    static_assert(kGranules == 4);
    Tile& tile = this->tile;
    const float* queries = this->query + first * this->pairs;
    const float* keys[kGranules];
    for (std::size_t g = 0; g < kGranules; ++g) {
      const bool seen = g >= tile.first && g < tile.end;
      keys[g] = tile.keys[seen ? g : tile.first];
      if (!seen || tile.next_keys[g] == tile.keys[g]) continue;
      for (std::size_t pair = 0; pair < this->pairs; ++pair) fetch(tile.next_keys[g] + pair * kLanes);
    }
    zero_sums();
    for (std::size_t pair = 0; pair < this->pairs; pair += kAmxRows) {
      _tile_loadd(4, queries + pair, this->pairs * sizeof(float));
      _tile_loadd(6, keys[0] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(6, keys[1] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(1, 4, 6);
      _tile_loadd(6, keys[2] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(2, 4, 6);
      _tile_loadd(6, keys[3] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(3, 4, 6);
    }
    float* scores = this->s.scores;
    _tile_stored(0, scores, kTile * sizeof(float));
    _tile_stored(1, scores + kLanes, kTile * sizeof(float));
    _tile_stored(2, scores + 2 * kLanes, kTile * sizeof(float));
    _tile_stored(3, scores + 3 * kLanes, kTile * sizeof(float));
  }

  void weigh(std::size_t first) {
    Tile& tile = this->tile;
    const std::size_t width = this->width, stride = width * sizeof(float);
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      if (tile.next_values[g] == tile.values[g]) continue;
      for (std::size_t at = 0; at < kDepth * width; at += kLanes) fetch(tile.next_values[g] + at);
    }
    std::size_t column = 0;
    for (; column + 2 * kLanes <= width; column += 2 * kLanes) {
      float* out = this->s.out + first * width + column;
      _tile_loadd(0, out, stride);
      _tile_loadd(1, out + kLanes, stride);
      for (std::size_t g = tile.first; g < tile.end; ++g) {
        const float* values = tile.values[g] + column;
        _tile_loadd(5, this->s.scores + g * kDepth, kTile * sizeof(float));
        _tile_loadd(7, values, stride);
        _tile_dpbf16ps(0, 5, 7);
        _tile_loadd(7, values + kLanes, stride);
        _tile_dpbf16ps(1, 5, 7);
      }
      _tile_stored(0, out, stride);
      _tile_stored(1, out + kLanes, stride);
    }
    if (column == width) return;
    float* out = this->s.out + first * width + column;
    _tile_loadd(0, out, stride);
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      _tile_loadd(5, this->s.scores + g * kDepth, kTile * sizeof(float));
      _tile_loadd(7, tile.values[g] + column, stride);
      _tile_dpbf16ps(0, 5, 7);
    }
    _tile_stored(0, out, stride);
  }
};

/// One tile's part in the results of `count` queries from `first` on, all of which see it.  @param count may
/// be zero
template <class Products>
void take_tile(AmxAttention<Products>& arithmetic, std::size_t first, std::size_t count, std::size_t tile) {
  for (; count > kAmxRows; first += kAmxRows, count -= kAmxRows)
    arithmetic.take_queries(first, kAmxRows, tile);
  if (count > 0) arithmetic.take_queries(first, count, tile);
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
