#pragma once

// Attention in bfloat16 with AMX: sixteen queries at a time, whose scores with sixteen keys are a tile, and
// whose sums of sixteen columns are one. A granule of keys, see RowLayout, is tiles as it lies, sixteen pairs
// of elements each, or is copied to where zeros fill the last one up; one of values is half a tile, and two
// that follow each other are whole ones.

#include "engine/kernels/simd/amx/tiles.h"
#include "engine/kernels/simd/attention/tiles.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_BF16__)

/// Lines that are wanted soon: a tile's values, then the next one's keys. Products and what is between them
/// ask for a few at a time, so that memory is never without work, and never holds up what is loaded now.
class AmxLinesAhead {
 public:
  AmxLinesAhead() = default;
  /// @param granule_bytes that are wanted of each granule
  explicit AmxLinesAhead(std::size_t granule_bytes) : chunks_((granule_bytes + kChunk - 1) / kChunk) {}

  void want(const void* granule) { granules_[wanted_++] = static_cast<const std::byte*>(granule); }
  /// A quarter of all are for products with keys and with values each, the other half is for what is between
  /// them, divided among `queries`.
  std::size_t asks_of_query(std::size_t queries) const {
    return (kGranules * chunks_ + queries - 1) / queries;
  }
  __attribute__((always_inline)) void ask() {
    if (asked_ == wanted_) return;
    const std::byte* at = granules_[asked_] + chunk_ * kChunk;
    for (std::size_t line = 0; line < kChunk; line += 64) fetch(at + line);
    if (++chunk_ < chunks_) return;
    chunk_ = 0;
    ++asked_;
  }

 private:
  static constexpr std::size_t kChunk = 512;

  const std::byte* granules_[2 * kGranules];
  std::size_t chunks_ = 0, wanted_ = 0, asked_ = 0, chunk_ = 0;
};

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

  /// Keys are whole tiles as they lie in a granule where no zeros have to fill one up.
  template <KvPrecision format>
  const float* keys_of(const std::byte* granule, std::size_t g) {
    if (this->unit.head_dim == 2 * this->pairs) return Products::template keys_of<format>(granule, g);
    return this->template expanded_keys<format>(granule, g);
  }

  /// Values are multiplied two granules at a time: two that do not follow each other are copied, and zeros
  /// stand in for one that no query sees. What is read as it lies is asked for ahead.
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
          if (seen) fetch(tile.next_values[i] + at * sizeof(float));
          store(own + at, seen ? load(tile.values[i] + at) : Floats{});
        }
        // Nor may what is multiplied with the zeros be anything but a number.
        if (!seen) store(tile.value_scales + i * kLanes, Floats{});
        tile.values[i] = own;
        tile.next_values[i] = reinterpret_cast<const std::byte*>(own);
      }
    }
    ahead_ = AmxLinesAhead(kLanes * this->unit.rows.layout.row_stride);
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      if (tile.values[g] != this->own_values(g)) ahead_.want(tile.values[g]);
    }
    for (std::size_t g = tile.first; g < tile.end; ++g) {
      const void* key = tile.keys[g];
      if (tile.next_keys[g] != key) ahead_.want(tile.next_keys[g]);
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
  AmxLinesAhead ahead_;

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
    const std::size_t asks = ahead_.asks_of_query(rows);
    for (std::size_t query = first; query < first + rows; ++query, scores += kTile) {
      for (std::size_t i = 0; i < asks; ++i) ahead_.ask();
      if (special(products, query, position)) adjust(products, query, position, scores);
      soften_one(products, query, scores);
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
    }
    zero_sums();
    for (std::size_t pair = 0; pair < this->pairs; pair += kAmxRows) {
      _tile_loadd(4, queries + pair, this->pairs * sizeof(float));
      ahead_.ask();
      _tile_loadd(6, keys[0] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(0, 4, 6);
      ahead_.ask();
      _tile_loadd(6, keys[1] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(1, 4, 6);
      ahead_.ask();
      _tile_loadd(6, keys[2] + pair * kLanes, kAmxRowBytes);
      _tile_dpbf16ps(2, 4, 6);
      ahead_.ask();
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
    std::size_t column = 0;
    for (; column + 2 * kLanes <= width; column += 2 * kLanes) {
      float* out = this->s.out + first * width + column;
      _tile_loadd(0, out, stride);
      _tile_loadd(1, out + kLanes, stride);
      for (std::size_t g = tile.first / 2 * 2; g < tile.end; g += 2) {
        const float* values = tile.values[g] + column;
        _tile_loadd(5, weights + g * kGranuleWords, kTile * sizeof(float));
        ahead_.ask();
        _tile_loadd(7, values, stride);
        _tile_dpbf16ps(0, 5, 7);
        ahead_.ask();
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
