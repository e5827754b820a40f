#pragma once

// A tile's keys and values, where they lie or brought into the form that an arithmetic computes with.

#include "engine/kernels/simd/attention/plain.h"

namespace mmbatch::MMBATCH_ISA {

/// A tile's granules in the form that an arithmetic computes with, floats or what it takes for them: where
/// the cache holds them so, there, else in its scratch. Those that no query sees are left out.
struct Tile {
  const float* keys[kGranules];
  const float* values[kGranules];
  /// What is read at some distance from keys and values is the signal to fetch what lies as far from these,
  /// whose elements take `next_bytes`, until fetch_nothing().
  const std::byte* next_keys[kGranules];
  const std::byte* next_values[kGranules];
  std::size_t next_bytes;
  std::size_t first, end;  // granules
  bool keys_scaled;        // whether products with keys have yet to be multiplied by key_scales
  bool values_scaled;      // whether weights of values have yet to be multiplied by value_scales
  alignas(64) float key_scales[kTile];
  alignas(64) float value_scales[kTile];  // 0 for keys of its granules that are not there

  void begin(const TilePart& part, KvPrecision format) {
    first = part.first / kLanes;
    end = (part.count + kLanes - 1) / kLanes;
    keys_scaled = values_scaled = kv_scaled(format);
    next_bytes = kv_element_bytes(format);
  }
  /// Nothing has to be fetched, or all has been.
  void fetch_nothing() {
    for (std::size_t g = first; g < end; ++g) {
      next_keys[g] = reinterpret_cast<const std::byte*>(keys[g]);
      next_values[g] = reinterpret_cast<const std::byte*>(values[g]);
    }
  }
};

template <KvPrecision format, bool whole, class Arithmetic>
void gather(Arithmetic& arithmetic, const TileRows& rows) {
  Tile& tile = arithmetic.tile;
  for (std::size_t g = tile.first; g < tile.end; ++g) {
    arithmetic.template gather_keys<format, whole>(rows, g);
    arithmetic.template gather_values<format, whole>(rows, g);
    tile.keys[g] = arithmetic.own_keys(g);
    tile.values[g] = arithmetic.own_values(g);
  }
}

template <KvPrecision format, class Arithmetic>
void bring(Arithmetic& arithmetic, const TileRows& rows, const TileRows& next) {
  Tile& tile = arithmetic.tile;
  next.fetch_all();
  if (kv_scaled(format)) {
    const std::size_t elements = arithmetic.unit.head_dim * kv_element_bytes(format);
    load_plain_scales(rows.keys + elements, rows, tile.key_scales);
    load_plain_scales(rows.values + elements, rows, tile.value_scales);
  }
  if (rows.whole())
    gather<format, true>(arithmetic, rows);
  else
    gather<format, false>(arithmetic, rows);
  tile.fetch_nothing();
}

/// What the cache holds as the arithmetic computes with it is read there. Each line is the signal to fetch
/// the one at its place in the next tile: memory has something to do all the time.
template <KvPrecision format, class Arithmetic>
void bring(Arithmetic& arithmetic, const TileGranules& granules, const TileGranules& next) {
  Tile& tile = arithmetic.tile;
  const AttentionUnit& unit = arithmetic.unit;
  for (std::size_t g = 0; g < kGranules; ++g) {
    const std::size_t bytes = kLanes * unit.rows.layout.row_stride;
    if (g < tile.first || g >= tile.end) {
      if (next.touches(g)) fetch(next.keys[g], bytes);
      if (next.touches(g)) fetch(next.values[g], bytes);
      continue;
    }
    const std::byte *key = granules.keys[g], *value = granules.values[g];
    const std::byte* next_key = next.touches(g) ? next.keys[g] : key;
    const std::byte* next_value = next.touches(g) ? next.values[g] : value;
    if (kv_scaled(format)) {
      const std::size_t elements = kLanes * unit.head_dim * kv_element_bytes(format);
      store(tile.key_scales + g * kLanes, load_scales(key + elements, granules, g));
      store(tile.value_scales + g * kLanes, load_scales(value + elements, granules, g));
      fetch(next_key + elements);
      fetch(next_value + elements);
    }
    tile.next_keys[g] = next_key;
    tile.next_values[g] = next_value;
    tile.keys[g] = arithmetic.template keys_of<format>(key, g);
    tile.values[g] = arithmetic.template values_of<format>(value, granules, g);
  }
}

}  // namespace mmbatch::MMBATCH_ISA
