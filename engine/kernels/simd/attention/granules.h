#pragma once

// Keys and values that a cache holds in granules, see RowLayout: sixteen tokens together.

#include "engine/kernels/simd.h"
#include "engine/kernels/simd/dot.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kTile = AttentionUnit::kKeyTile;
static_assert(RowLayout::kGranule == kLanes);
constexpr std::size_t kGranules = kTile / kLanes;

/// The part of a tile that some query of a unit sees. What lies outside may have lost its memory, or hold
/// another sequence's keys and values, or nothing that is a number.
struct TilePart {
  std::size_t first;  // keys of the tile from this one on
  std::size_t count;  // and before this one

  TilePart(std::size_t tile, std::size_t begin, std::size_t end)
      : first(begin > tile ? begin - tile : 0),
        count(end < tile           ? 0
              : end - tile < kTile ? end - tile
                                   : kTile) {}
  bool has(std::size_t key) const { return key >= first && key < count; }
  bool touches(std::size_t granule) const {
    return granule * kLanes < count && (granule + 1) * kLanes > first;
  }
  bool whole() const { return first == 0 && count == kTile; }
  bool whole(std::size_t granule) const {
    return granule * kLanes >= first && (granule + 1) * kLanes <= count;
  }
};

/// Where a tile's granules lie.
struct TileGranules : TilePart {
  static constexpr bool kPlain = false;
  const std::byte* keys[kGranules];
  const std::byte* values[kGranules];

  TileGranules(const PagedRows& rows, std::size_t tile, std::size_t begin, std::size_t end)
      : TilePart(tile, begin, end) {
    for (std::size_t g = 0; g < kGranules; ++g) {
      if (!touches(g)) continue;
      const std::size_t token = tile + g * kLanes;
      const std::size_t offset =
          static_cast<std::size_t>(rows.blocks[token / rows.block_tokens]) * rows.block_stride +
          token % rows.block_tokens * rows.layout.row_stride;
      keys[g] = rows.keys + offset;
      values[g] = rows.values + offset;
    }
  }
};

/// Asks for memory ahead of its use: with few queries a unit waits for nothing else. Into the second cache,
/// for the first can wait for few lines at a time.
MMBATCH_INLINE void fetch(const void* p) {
  __builtin_prefetch(p, 0, 2);
}
MMBATCH_INLINE void fetch(const std::byte* p, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < bytes; at += kLine) fetch(p + at);
}

/// Two neighbours each of sixteen keys, or of sixteen columns of values.
struct FloatPairs {
  Floats even, odd;
};

MMBATCH_INLINE Floats load_as_floats(const std::byte* p) {
  return load(reinterpret_cast<const float*>(p));
}

/// As FloatPairs; integers come without their scale.
template <KvPrecision format>
MMBATCH_INLINE FloatPairs unpaired(const std::byte* pairs) {
  if constexpr (format == KvPrecision::bf16) {
    const Ints both = load_ints(pairs);
    return {low_half(both), high_half(both)};
  }
  if constexpr (format == KvPrecision::int16) {
    const Ints both = load_ints(pairs);
    return {to_floats((both << 16) >> 16), to_floats(both >> 16)};
  }
  const Ints both = load_halves(pairs);
  return {to_floats((both << 24) >> 24), to_floats((both << 16) >> 24)};
}

/// Elements 2 · i and 2 · i + 1 of a granule's keys.
template <KvPrecision format>
MMBATCH_INLINE FloatPairs key_pairs(const std::byte* granule, std::size_t i) {
  const std::byte* from = granule + i * 2 * kLanes * kv_element_bytes(format);
  if constexpr (format == KvPrecision::f32) {
    return {load_as_floats(from), load_as_floats(from + sizeof(Floats))};
  } else {
    return unpaired<format>(from);
  }
}

/// The `bytes` of sixteen columns at `from`, of which `there` exist: themselves, or a copy with zeros behind.
MMBATCH_INLINE const std::byte* columns(const std::byte* from, std::size_t there, std::size_t bytes,
                                        std::byte (&copy)[4 * kLanes]) {
  if (there >= bytes) return from;
  __builtin_memset(copy, 0, sizeof(copy));
  __builtin_memcpy(copy, from, there);
  return copy;
}

/// Columns d … d + 15 of the values of tokens 2 · j and 2 · j + 1 of a granule; those behind head_dim are
/// zero.
template <KvPrecision format>
MMBATCH_INLINE FloatPairs value_pairs(const std::byte* granule, std::size_t j, std::size_t d,
                                      std::size_t head_dim) {
  constexpr std::size_t kBytes = kv_element_bytes(format);
  alignas(64) std::byte copy[4 * kLanes];
  if constexpr (format == KvPrecision::f32) {
    const std::byte* from = granule + (2 * j * head_dim + d) * kBytes;
    const std::size_t there = (head_dim - d) * kBytes;
    const Floats even = load_as_floats(columns(from, there, sizeof(copy), copy));
    return {even, load_as_floats(columns(from + head_dim * kBytes, there, sizeof(copy), copy))};
  } else {
    const std::byte* from = granule + (j * head_dim + d) * 2 * kBytes;
    return unpaired<format>(columns(from, (head_dim - d) * 2 * kBytes, 2 * kBytes * kLanes, copy));
  }
}

/// The scales of a granule's sixteen tokens, which lie behind its elements; zero for those that are not
/// there.
MMBATCH_INLINE Floats load_scales(const std::byte* from, const TilePart& part, std::size_t g) {
  const Floats scales = load_as_floats(from);
  if (part.whole(g)) return scales;
  alignas(64) float there[kLanes];
  store(there, scales);
  for (std::size_t k = 0; k < kLanes; ++k) {
    if (!part.has(g * kLanes + k)) there[k] = 0.0f;
  }
  return load(there);
}

}  // namespace mmbatch::MMBATCH_ISA
