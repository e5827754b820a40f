#pragma once

// Products with weights in groups of 32, with AMX. A group is half as deep as a tile can be; its products are
// a tile of integers, which goes through memory to where it is scaled and added up: with the same bytes as
// without AMX.

#include "engine/kernels/blocks/grouped_panel.h"
#include "engine/kernels/simd/amx/tiles.h"
#include "engine/kernels/simd/blocks/registers.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AMX_INT8__)

/// y[kAmxRows rows] (+)= x · a block of the depth, for one strip.
struct AmxGroupedBlock {
  static constexpr std::size_t kAhead = 3;  // groups that are multiplied before one is scaled
  static constexpr std::size_t kSide = sizeof(GroupedRow::Side);

  const std::byte* x;      // of the first row, at the block's depth
  const std::byte* sides;  // likewise
  std::size_t row_bytes;
  const std::byte* codes;  // with a sign, a tile of each group
  const float* scales;     // of each group kLanes
  const float* floors;     // likewise, where there are any
  std::size_t groups;
  Begin begin;
  float* y;  // rows Panel::kColumns apart

  /// @param fetch a turn for each group
  template <bool with_floors>
  __attribute__((noinline)) void run(Fetch fetch) const {
    alignas(64) std::int32_t products[kAhead + 1][kAmxRows * Panel::kStrip];
    const auto multiply = [&](std::size_t group) __attribute__((always_inline)) {
      _tile_zero(0);
      _tile_loadd(4, x + group * Panel::kGroup, row_bytes);
      _tile_loadd(6, codes + group * Panel::kGroup * Panel::kStrip, kAmxRowBytes);
      _tile_dpbssd(0, 4, 6);
      _tile_stored(0, products[group % (kAhead + 1)], kAmxRowBytes);
    };
    FloatRegister sums[kAmxRows];
    MMBATCH_UNROLLED(kAmxRows, r) {
      sums[r] =
          begin == Begin::zero ? FloatRegister{} : load_register<FloatRegister>(y + r * Panel::kColumns);
    });
    auto side = RowWords<kAmxRows>::of(sides, row_bytes);
    for (std::size_t group = 0; group < kAhead && group < groups; ++group) multiply(group);
    for (std::size_t group = 0; group < groups; ++group) {
      if (group + kAhead < groups) multiply(group + kAhead);
      Fetch::turn(fetch, group);
      const std::int32_t* product = products[group % (kAhead + 1)];
      const auto scale = load_register<FloatRegister>(scales + group * kLanes);
      FloatRegister floor{};
      if constexpr (with_floors) floor = load_register<FloatRegister>(floors + group * kLanes);
      MMBATCH_UNROLLED(kAmxRows, r) {
        const auto whole = load_register<IntRegister>(product + r * Panel::kStrip);
        FloatRegister sum = sums[r] + to_floats(whole) * splat_register(side.at(r, 0)) * scale;
        if constexpr (with_floors)
          sum = sum + floor * splat_register(side.at(r, offsetof(GroupedRow::Side, sum)));
        sums[r] = kept(sum);
      });
      side.move(kSide);
    }
    MMBATCH_UNROLLED(kAmxRows, r) {
      store_register(y + r * Panel::kColumns, sums[r]);
    });
  }
};

/// Fewer rows than a tile has, in front of rows of zeros.
template <std::size_t kInputs>
struct AmxFewRows {
  static constexpr std::size_t kSides = kInputs / Panel::kGroup * AmxGroupedBlock::kSide;
  static constexpr std::size_t kRowBytes = kInputs + kSides;

  alignas(64) std::byte x[kAmxRows * kRowBytes];
  alignas(64) float y[kAmxRows * Panel::kColumns];

  /// @param rows that run() will be given
  explicit AmxFewRows(std::size_t rows) {
    if (rows == 0) return;
    __builtin_memset(x, 0, sizeof(x));
    __builtin_memset(y, 0, sizeof(y));
  }

  template <bool with_floors>
  void run(AmxGroupedBlock work, std::size_t rows, Fetch fetch) {
    for (std::size_t r = 0; r < rows; ++r) {
      __builtin_memcpy(x + r * kRowBytes, work.x + r * work.row_bytes, work.groups * Panel::kGroup);
      __builtin_memcpy(x + r * kRowBytes + kInputs, work.sides + r * work.row_bytes,
                       work.groups * AmxGroupedBlock::kSide);
      if (work.begin == Begin::stored)
        store_register(y + r * Panel::kColumns, load_register<FloatRegister>(work.y + r * Panel::kColumns));
    }
    float* to = work.y;
    work.x = x;
    work.sides = x + kInputs;
    work.row_bytes = kRowBytes;
    work.y = y;
    work.template run<with_floors>(fetch);
    for (std::size_t r = 0; r < rows; ++r)
      store_register(to + r * Panel::kColumns, load_register<FloatRegister>(y + r * Panel::kColumns));
  }
};

/// Shapes of tiles for groups: sixteen rows of a group's bytes, and a group of a strip.
inline AmxShapes amx_group_shapes() {
  return {kAmxRows, kAmxRows, Panel::kGroup / 4};
}
#endif

}  // namespace mmbatch::MMBATCH_ISA
