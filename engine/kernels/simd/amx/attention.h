#pragma once

// Attention in bfloat16 with AMX: sixteen queries at a time, whose scores with sixteen keys are a tile, and
// whose sums of sixteen columns are one. A granule of keys, see RowLayout, is tiles as it lies, sixteen pairs
// of elements each, or is copied to where zeros fill the last one up; one of values is half a tile, and two
// that follow each other are whole ones.

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

  /// Values are multiplied two granules at a time: two that do not follow each other are copied, and zeros
  /// stand in for one that no query sees.
  void complete() {
    Tile& tile = this->tile;
    const std::size_t floats = kGranuleWords * this->width;
    for (std::size_t g = tile.first / 2 * 2; g < tile.end; g += 2) {
      const bool both = g >= tile.first && g + 1 < tile.end;
      if (both && tile.values[g + 1] == tile.values[g] + floats) continue;
      for (std::size_t i = g; i < g + 2; ++i) {
        const bool seen = i >= tile.first && i < tile.end;
        float* own = this->own_values(i);
        for (std::size_t at = 0; at < floats; at += kLanes) {
          if (seen) fetch(tile.next_values[i] + at);
          store(own + at, seen ? load(tile.values[i] + at) : Floats{});
        }
        // Nor may what is multiplied with the zeros be anything but a number.
        if (!seen) store(tile.value_scales + i * kLanes, Floats{});
        tile.values[i] = tile.next_values[i] = own;
      }
    }
  }

  /// Queries first … first + count - 1, all of which see the tile of keys.
  void take_queries(std::size_t first, std::size_t count, std::size_t position) {
    const std::size_t left = count % kAmxRows, whole = count - left;
    if (whole > 0) take_groups(first, whole, kAmxRows, position);
    if (left > 0) take_groups(first + whole, left, left, position);
  }

 private:
  static constexpr std::size_t kGranuleWords = kLanes / 2;  // of a granule of values: its depth
  static_assert(kScored == 2 * kAmxRows);

  std::size_t rows_ = 0;  // that tiles are shaped for

  /// Tiles 0 to 3: sums; 4: queries, 5: weights of values; 6: keys, 7: values.
  void shape(std::size_t rows) {
    if (rows == rows_) return;
    AmxShapes::Shapes shapes;
    for (std::size_t tile = 0; tile < 8; ++tile) {
      shapes.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? rows : kAmxRows);
      shapes.row_bytes[tile] = kAmxRowBytes;
    }
    AmxShapes::load(shapes);
    rows_ = rows;
  }

  /// Queries in groups of `rows`. Scores are made a group ahead: tiles are multiplied while vectors turn the
  /// scores before them into weights.
  void take_groups(std::size_t first, std::size_t count, std::size_t rows, std::size_t position) {
    shape(rows);
    float *scores = this->s.scores, *next = scores + kAmxRows * kTile;
    AmxShapes::written();
    score(first, scores);
    for (std::size_t end = first + count; first < end; first += rows) {
      if (first + rows < end) score(first + rows, next);
      soften_all(first, rows, position, scores);
      AmxShapes::written();
      weigh(first, scores);
      this->tile.fetch_nothing();
      float* done = scores;
      scores = next;
      next = done;
    }
  }

  void soften_all(std::size_t first, std::size_t rows, std::size_t position, float* scores) {
    Products& products = *this;
    for (std::size_t query = first; query < first + rows; ++query, scores += kTile) {
      if (special(products, query, position)) adjust(products, query, position, scores);
      soften(products, query, scores);
    }
  }

  /// Scores, [rows, kTile], of all keys of the tile. A granule that no query sees may have lost its memory:
  /// one that is seen stands in for it, and adjust() takes its scores out.
  void score(std::size_t first, float* scores) {
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
    _tile_stored(0, scores, kTile * sizeof(float));
    _tile_stored(1, scores + kLanes, kTile * sizeof(float));
    _tile_stored(2, scores + 2 * kLanes, kTile * sizeof(float));
    _tile_stored(3, scores + 3 * kLanes, kTile * sizeof(float));
  }

  /// @param weights [rows, kTile]
  void weigh(std::size_t first, const float* weights) {
    Tile& tile = this->tile;
    const std::size_t width = this->width, stride = width * sizeof(float);
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      if (tile.next_values[g] == tile.values[g]) continue;
      for (std::size_t at = 0; at < kGranuleWords * width; at += kLanes) fetch(tile.next_values[g] + at);
    }
    std::size_t column = 0;
    for (; column + 2 * kLanes <= width; column += 2 * kLanes) {
      float* out = this->s.out + first * width + column;
      _tile_loadd(0, out, stride);
      _tile_loadd(1, out + kLanes, stride);
      for (std::size_t g = tile.first / 2 * 2; g < tile.end; g += 2) {
        const float* values = tile.values[g] + column;
        _tile_loadd(5, weights + g * kGranuleWords, kTile * sizeof(float));
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
    for (std::size_t g = tile.first / 2 * 2; g < tile.end; g += 2) {
      _tile_loadd(5, weights + g * kGranuleWords, kTile * sizeof(float));
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
  if (count > 0) arithmetic.take_queries(first, count, tile);
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
