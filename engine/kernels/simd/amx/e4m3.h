#pragma once

// Products of eight-bit floats and bfloat16 with AMX: 64 inputs, which share a scale, are two tiles of
// bfloat16, whose products are added up from zero, then scaled.

#include "engine/kernels/simd/amx/panel.h"
#include "engine/kernels/simd/blocks/e4m3_block.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_BF16__)

/// Parts of 64 inputs of all strips, as tiles.
struct AmxE4m3Parts {
  static constexpr std::size_t kTiles = 2;  // of a part and strip
  static constexpr std::size_t kMost = kAmxFewSteps / kTiles;
  static constexpr std::size_t kStripBytes = kMost * kTiles * kAmxBytes;

  const PanelProduct& p;
  std::size_t strip_bytes;
  alignas(64) std::byte wide[kStrips * kStripBytes];
  alignas(64) float sums[2 * kAmxRows * Panel::kColumns];

  explicit AmxE4m3Parts(const PanelProduct& product)
      : p(product), strip_bytes(p.depth / kE4m3Inputs * kE4m3PartBytes) {}

  const std::byte* stored(std::size_t strip, std::size_t part) const {
    return p.panel + strip * strip_bytes + part * kE4m3PartBytes;
  }
  /// `count` parts from `first` on become tiles.
  void widen(std::size_t first, std::size_t count) {
    const std::size_t all = p.depth / kE4m3Inputs,
                      parts_ahead = (kAmxAhead + kE4m3PartBytes - 1) / kE4m3PartBytes;
    for (std::size_t part = first; part < first + count; ++part) {
      std::byte* to = wide + (part - first) * kTiles * kAmxBytes;
      const std::size_t later = part + parts_ahead;
      const std::byte* ahead =
          later < all ? stored(0, later) : StripsInTurn(p, strip_bytes).next + (later - all) * kE4m3PartBytes;
      for (std::size_t at = 0; at < kE4m3CodeBytes; at += 64, to += 128) {
        MMBATCH_UNROLLED(kStrips, s) {
          const std::byte* from = stored(s, part) + at;
          __builtin_prefetch(ahead + s * strip_bytes + at, 0, 3);
          const TwoPairs pairs = widened(from);
          store_ints(to + s * kStripBytes, pairs.of[0]);
          store_ints(to + s * kStripBytes + 64, pairs.of[1]);
        });
      }
      for (std::size_t s = 0; s < kStrips; ++s)
        __builtin_prefetch(ahead + s * strip_bytes + kE4m3CodeBytes, 0, 3);
    }
    AmxShapes::written();
  }
  /// y += sums · scales for `rows` rows.
  void add(std::size_t part, std::size_t first_row, std::size_t rows) const {
    for (std::size_t s = 0; s < kStrips; ++s) {
      const Floats scale = load(reinterpret_cast<const float*>(stored(s, part) + kE4m3CodeBytes));
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t at = r * Panel::kColumns + s * Panel::kStrip;
        float* y = p.y + first_row * Panel::kColumns + at;
        const Floats before = part == 0 ? Floats{} : load(y);
        store(y, (Floats)_mm512_fmadd_ps((__m512)load(sums + at), (__m512)scale, (__m512)before));
      }
    }
  }
};

/// Rows from `first_row` on, in groups of kAmxRows and `back` more.
inline void take_amx_e4m3_groups(AmxE4m3Parts& parts, std::size_t first_row, std::size_t groups,
                                 std::size_t back) {
  const PanelProduct& p = parts.p;
  const AmxShapes shapes(kAmxRows, back);
  const std::size_t all = p.depth / kE4m3Inputs, most = AmxE4m3Parts::kMost;
  for (std::size_t first = 0; first < all; first += most) {
    const std::size_t count = most < all - first ? most : all - first;
    parts.widen(first, count);
    for (std::size_t group = 0; group < groups; ++group) {
      const std::size_t row = first_row + 2 * kAmxRows * group;
      const std::byte* x = p.x + row * p.row_bytes + first * kE4m3Inputs * 2;
      for (std::size_t part = 0; part < count; ++part, x += kE4m3Inputs * 2) {
        for (std::size_t s = 0; s < kStrips; s += 2) {
          AmxFetch nothing{x, 0, 0};
          const AmxBlock work{
              x,
              p.row_bytes,
              parts.wide + s * AmxE4m3Parts::kStripBytes + part * AmxE4m3Parts::kTiles * kAmxBytes,
              AmxE4m3Parts::kStripBytes,
              AmxE4m3Parts::kTiles,
              Begin::zero,
              parts.sums + s * Panel::kStrip};
          work.run<AmxWords::bf16>(nothing);
        }
        parts.add(first + part, row, kAmxRows + back);
      }
    }
  }
}

/// At most kAmxRows rows from `first_row` on.
inline void take_amx_e4m3_few(AmxE4m3Parts& parts, std::size_t first_row, std::size_t rows) {
  const PanelProduct& p = parts.p;
  const AmxShapes shapes(rows, rows);
  const std::byte* x = p.x + first_row * p.row_bytes;
  for (std::size_t part = 0; part < p.depth / kE4m3Inputs; ++part, x += kE4m3Inputs * 2) {
    parts.widen(part, 1);
    zero_sums();
    for (std::size_t tile = 0; tile < AmxE4m3Parts::kTiles; ++tile)
      multiply_amx_strips<AmxWords::bf16>(x + tile * kAmxRowBytes, p.row_bytes,
                                          {parts.wide + tile * kAmxBytes, AmxE4m3Parts::kStripBytes},
                                          AmxNothingAhead{});
    store_amx_strips(parts.sums);
    parts.add(part, first_row, rows);
  }
}

/// A panel's products, the same bits for a row in any number of them.
inline void take_amx_e4m3(const PanelProduct& p) {
  AmxE4m3Parts parts(p);
  for_amx_rows(
      p.rows,
      [&](std::size_t first, std::size_t groups, std::size_t back) {
        take_amx_e4m3_groups(parts, first, groups, back);
      },
      [&](std::size_t first, std::size_t rows) { take_amx_e4m3_few(parts, first, rows); });
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
