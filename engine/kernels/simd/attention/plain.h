#pragma once

// Keys and values in plain rows, see RowLayout: those of encoders, and of caches whose blocks hold no
// granules. They are brought into the kernel's form tile by tile.

#include "engine/kernels/simd/attention/granules.h"

namespace mmbatch::MMBATCH_ISA {

/// Where a tile's rows lie, in bytes from the start of a head's keys or values.
struct TileRows : TilePart {
  static constexpr bool kPlain = true;
  const std::byte* keys;
  const std::byte* values;
  std::size_t bytes;  // of a row
  std::size_t offset[kTile];

  TileRows(const PagedRows& rows, std::size_t tile, std::size_t begin, std::size_t end)
      : TilePart(tile, begin, end),
        keys(rows.keys),
        values(rows.values),
        bytes(kv_row_bytes(rows.layout.format, rows.layout.head_dim)) {
    if (first >= count) return;
    std::size_t block = (tile + first) / rows.block_tokens;
    std::size_t row = (tile + first) % rows.block_tokens;
    for (std::size_t j = first; j < count; ++j) {
      offset[j] =
          static_cast<std::size_t>(rows.blocks[block]) * rows.block_stride + row * rows.layout.row_stride;
      if (++row < rows.block_tokens) continue;
      row = 0;
      ++block;
    }
  }
  void fetch_all() const {
    for (std::size_t j = first; j < count; ++j) {
      fetch(keys + offset[j], bytes);
      fetch(values + offset[j], bytes);
    }
  }
};

/// Sixteen elements of a plain row from element d on, as floats; elements behind head_dim are zero, integers
/// come without their scale.
template <KvPrecision format>
MMBATCH_INLINE Floats load_plain(const std::byte* row, std::size_t d, std::size_t head_dim) {
  constexpr std::size_t kBytes = kv_element_bytes(format);
#if defined(__AVX512F__)
  if constexpr (format == KvPrecision::f32) {
    const std::size_t left = head_dim > d ? head_dim - d : 0;
    const auto there = static_cast<__mmask16>(left < kLanes ? (1u << left) - 1 : 0xffff);
    return (Floats)_mm512_maskz_loadu_ps(there, row + d * kBytes);
  }
#endif
  alignas(64) std::byte some[4 * kLanes] = {};
  const std::byte* from = row + d * kBytes;
  if (d + kLanes > head_dim) {
    if (d < head_dim) __builtin_memcpy(some, from, (head_dim - d) * kBytes);
    from = some;
  }
  if constexpr (format == KvPrecision::f32) return load(reinterpret_cast<const float*>(from));
  if constexpr (format == KvPrecision::bf16) return load_bf16(from);
  if constexpr (format == KvPrecision::int16) return to_floats((load_halves(from) << 16) >> 16);
  return load_int8(from);
}

/// The scales of a tile's rows, zero for those that are not there.
/// @param from the scale of a row that lies where offsets count from
MMBATCH_INLINE void load_plain_scales(const std::byte* from, const TileRows& rows, float* scales) {
  for (std::size_t j = 0; j < kTile; ++j) {
    scales[j] = 0.0f;
    if (rows.has(j)) __builtin_memcpy(scales + j, from + rows.offset[j], sizeof(float));
  }
}

#if defined(__AVX512F__)
/// Swaps, in every pair of rows `width` apart, the halves that lie across the diagonal.
template <int width>
MMBATCH_INLINE void swap_across(Floats (&r)[kLanes]) {
  Ints low, high;
  for (int k = 0; k < 16; ++k) {
    low[k] = (k & width) ? 16 + (k - width) : k;
    high[k] = (k & width) ? 16 + k : k + width;
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i & width) continue;
    const Floats upper = r[i], lower = r[i + width];
    r[i] = shuffled(upper, lower, low);
    r[i + width] = shuffled(upper, lower, high);
  }
}
#endif

/// Transposes 16×16 lanes: row i becomes lane i of the vectors that go to out, one after the other.
MMBATCH_INLINE void transpose16(Floats (&r)[kLanes], float* out) {
#if defined(__AVX512F__)
  swap_across<1>(r);
  swap_across<2>(r);
  swap_across<4>(r);
  swap_across<8>(r);
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kLanes; ++i) store(out + i * kLanes, r[i]);
#else
  const float* from = reinterpret_cast<const float*>(r);
  for (std::size_t i = 0; i < kLanes; i += 4) {
    for (std::size_t j = 0; j < kLanes; j += 4) {
      __m128 part[4];
      for (std::size_t k = 0; k < 4; ++k) part[k] = _mm_loadu_ps(from + (j + k) * kLanes + i);
      _MM_TRANSPOSE4_PS(part[0], part[1], part[2], part[3]);
      for (std::size_t k = 0; k < 4; ++k) _mm_storeu_ps(out + (i + k) * kLanes + j, part[k]);
    }
  }
#endif
}

}  // namespace mmbatch::MMBATCH_ISA
