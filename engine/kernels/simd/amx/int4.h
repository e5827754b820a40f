#pragma once

// int4 products with AMX. A group's products are a tile of integers, which goes through memory to where it is
// scaled and added up: as integers are exact, with the same bytes as without AMX.

#include "engine/kernels/simd/amx/tiles.h"
#include "engine/kernels/simd/blocks/registers.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_INT8__)

/// Pairs of groups of one strip, as bytes and floats, which rows pass over in the first-level cache.
struct AmxInt4Part {
  static constexpr std::size_t kPairs = 16;  // at most
  static constexpr std::size_t kGroupBytes = Panel::kGroup * Panel::kStrip;

  alignas(64) std::byte values[2 * kPairs * kGroupBytes];
  alignas(64) float scales[2 * kPairs * Panel::kStrip];

  void unpack(const std::byte* pair, std::size_t pairs) {
    std::byte* to = values;
    for (std::size_t i = 0; i < pairs; ++i, pair += Panel::kGroupPair) {
      for (std::size_t at = 0; at < 2 * Panel::kGroupValues; at += 64, to += 128) {
        const Ints both = load_ints(pair + at);
        store_ints(to, both & 0x0f0f0f0f);
        store_ints(to + 64, (both >> 4) & 0x0f0f0f0f);
        __builtin_prefetch(pair + kPairs * Panel::kGroupPair + at, 0, 2);
      }
      for (std::size_t group = 0; group < 2; ++group)
        store(scales + (2 * i + group) * Panel::kStrip,
              load_bf16(pair + 2 * Panel::kGroupValues + group * Panel::kStrip * 2));
    }
  }
};

/// y[R rows] (+)= x · a part of a strip, of `groups` groups.
struct AmxInt4Block {
  static constexpr std::size_t kAhead = 7;

  const std::byte* x;        // of the first row, at the part's depth
  const std::byte* offsets;  // likewise
  std::size_t row_bytes;
  const AmxInt4Part& part;
  std::size_t groups;
  Begin begin;
  float* y;  // rows Panel::kColumns apart

  template <std::size_t R>
  __attribute__((noinline)) void run() const {
    alignas(64) std::int32_t products[kAhead + 1][kAmxRows * Panel::kStrip];
    const auto multiply = [&](std::size_t group) __attribute__((always_inline)) {
      _tile_zero(0);
      _tile_loadd(4, x + group * Panel::kGroup, row_bytes);
      _tile_loadd(6, part.values + group * AmxInt4Part::kGroupBytes, kAmxRowBytes);
      _tile_dpbsud(0, 4, 6);
      _tile_stored(0, products[group % (kAhead + 1)], kAmxRowBytes);
    };
    FloatRegister sums[R];
    MMBATCH_UNROLLED(R, r) {
      sums[r] =
          begin == Begin::zero ? FloatRegister{} : load_register<FloatRegister>(y + r * Panel::kColumns);
    });
    auto offset = RowWords<R>::of(offsets, row_bytes);
    for (std::size_t group = 0; group < kAhead && group < groups; ++group) multiply(group);
    for (std::size_t group = 0; group < groups; ++group) {
      if (group + kAhead < groups) multiply(group + kAhead);
      const std::int32_t* product = products[group % (kAhead + 1)];
      const auto scale = load_register<FloatRegister>(part.scales + group * Panel::kStrip);
      MMBATCH_UNROLLED(R, r) {
        const IntRegister whole =
            load_register<IntRegister>(product + r * Panel::kStrip) + splat_four_bytes(offset.at(r, 0));
        sums[r] = kept(sums[r] + to_floats(whole) * scale);
      });
      offset.move(sizeof(std::int32_t));
    }
    MMBATCH_UNROLLED(R, r) {
      store_register(y + r * Panel::kColumns, sums[r]);
    });
  }
};

/// The products of rows from `first_row` on, as many tiles of them as there are.
inline void take_amx_int4_rows(const PanelProduct& p, std::size_t first_row, std::size_t tiles,
                               std::size_t rows) {
  const AmxShapes shapes(rows, rows, Panel::kGroup / 4);
  const std::size_t pairs = p.depth / (2 * Panel::kGroup), strip_bytes = pairs * Panel::kGroupPair;
  const std::byte* x = p.x + QuantizedRow::kHeaderBytes;
  AmxInt4Part part;
  for (std::size_t s = 0; s < kStrips; ++s) {
    for (std::size_t first = 0; first < pairs; first += AmxInt4Part::kPairs) {
      const std::size_t count = AmxInt4Part::kPairs < pairs - first ? AmxInt4Part::kPairs : pairs - first;
      part.unpack(p.panel + s * strip_bytes + first * Panel::kGroupPair, count);
      AmxShapes::written();
      for (std::size_t tile = 0; tile < tiles; ++tile) {
        const std::size_t row = first_row + tile * kAmxRows;
        const std::byte* at = x + row * p.row_bytes;
        const AmxInt4Block work{at + first * 2 * Panel::kGroup,
                                at + p.depth + first * 2 * sizeof(std::int32_t),
                                p.row_bytes,
                                part,
                                2 * count,
                                first == 0 ? Begin::zero : Begin::stored,
                                p.y + row * Panel::kColumns + s * Panel::kStrip};
        with_rows<kAmxRows>(rows, [&]<std::size_t R>() { work.template run<R>(); });
      }
    }
  }
}

/// A panel's products, before they are scaled by rows.
inline void take_amx_int4(const PanelProduct& p) {
  const std::size_t tiles = p.rows / kAmxRows, left = p.rows % kAmxRows;
  if (tiles > 0) take_amx_int4_rows(p, 0, tiles, kAmxRows);
  if (left > 0) take_amx_int4_rows(p, tiles * kAmxRows, 1, left);
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
