#pragma once

// Rows times bytes in groups, each with its scale.

#include "engine/kernels/simd/blocks/grouped_bytes.h"
#include "engine/kernels/simd/blocks/grouped_scales.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

/// What a block's weights are: codes, in units, and scales as floats.
struct BlockUnits {
  const std::byte* codes;
  std::size_t count;
  std::size_t groups;       // of 32 inputs, in a unit
  std::size_t unit_bytes;   // from one unit to the next
  std::size_t column_step;  // bytes from a register of columns to the next
  const float* scales;      // of every group kLanes
  const float* floors;
  std::size_t scale_step;  // floats, as column_step
};

/// y[all rows] (+)= x · a block of the depth, whose codes are bytes, for V strips; V is 1 but with AVX-512.
template <class Kind, std::size_t V>
struct GroupedBlock {
  using Codes = CodesOfBytes;
  using Bytes = GroupedBytes<Kind::wide>;
  static constexpr std::size_t halves = Kind::halves;
  static constexpr bool floors = Kind::floors;
  static constexpr std::size_t kSide = sizeof(GroupedRow::Side);
  static constexpr std::size_t kRegistersOfColumns = V * Panel::kStrip / kRegisterLanes;

  const PanelProduct& p;
  const GroupedPanel& g;
  BlockUnits units;
  std::size_t first_group;  // of 32 inputs
  std::size_t strip_bytes;  // in the panel, from one strip to the next
  Begin begin;
  float* y;

  /// @param fetch of the first strip; of the others, what lies as far from theirs
  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    constexpr std::size_t C = kRegistersOfColumns < 2 ? kRegistersOfColumns : 2;
    for (std::size_t c = 0; c < kRegistersOfColumns; c += C) {
      columns<R, C>(first, c, fetch);
      if constexpr (V == 1)
        fetch.lines = 0;
      else
        fetch.next += C * strip_bytes;
    }
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, Fetch fetch) const {
    constexpr bool in_registers = kRegisters == 32 || 2 * R * C + 2 * C + 3 <= kRegisters;
    constexpr std::size_t kSteps = 8 / halves;  // of four inputs, with one scale
    const std::byte* row = p.x + first * p.row_bytes;
    auto x = RowWords<R>::of(row + first_group * Panel::kGroup, p.row_bytes);
    auto side = RowWords<R>::of(row + p.depth + first_group * kSide, p.row_bytes);
    float* to = y + first * Panel::kColumns + column * kRegisterLanes;
    FloatRegister sums[in_registers ? R : 1][C] = {};
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(C, c) {
        float* at = to + r * Panel::kColumns + c * kRegisterLanes;
        if constexpr (in_registers) {
          if (begin == Begin::stored) sums[r][c] = load_register<FloatRegister>(at);
        } else {
          if (begin == Begin::zero) store_register(at, FloatRegister{});
        }
      });
    });
    const std::byte* w = units.codes + column * units.column_step;
    const float* scales = units.scales + column * units.scale_step;
    const float* minimums = units.floors + column * units.scale_step;
    const std::size_t groups = units.count * units.groups;
    for (std::size_t group = 0, in_unit = 0; group < groups; ++group, w += Codes::kGroupBytes) {
      if (in_unit++ == units.groups) {
        in_unit = 1;
        w += units.unit_bytes - units.groups * Codes::kGroupBytes;
      }
      MMBATCH_UNROLLED((V == 1 ? 1 : C), v) {
        Fetch::turn({fetch.next + v * strip_bytes, fetch.lines, fetch.to}, group);
      });
      MMBATCH_UNROLLED(halves, half) {
        IntRegister part[R][C];
        begin_group<Kind, half>(g, side, part);
        MMBATCH_UNROLLED(kSteps / 2, step) {
          constexpr std::size_t kStep = half * kSteps + 2 * step;
          typename Bytes::Weights weights[C];
          MMBATCH_UNROLLED(C, c) {
            weights[c] = Bytes::ready(Codes::template two_steps<kStep>(g, w + c * units.column_step));
          });
          MMBATCH_UNROLLED(R, r) {
            const IntRegister front = splat_four_bytes(x.at(r, 4 * kStep));
            const IntRegister back = splat_four_bytes(x.at(r, 4 * kStep + 4));
            MMBATCH_UNROLLED(C, c) {
              part[r][c] = kept(Bytes::add(part[r][c], weights[c], front, back));
            });
          });
        });
        FloatRegister scale[C], minimum[C];
        MMBATCH_UNROLLED(C, c) {
          const std::size_t at = half * kLanes + c * units.scale_step;
          scale[c] = load_register<FloatRegister>(scales + at);
          if constexpr (floors) minimum[c] = load_register<FloatRegister>(minimums + at);
        });
        MMBATCH_UNROLLED(R, r) {
          const FloatRegister of_row = splat_register(side.at(r, 0));
          FloatRegister sum_of_row{};
          if constexpr (floors) {
            sum_of_row = splat_register(side.at(r, 8));
            if constexpr (halves == 2)
              sum_of_row = to_floats(-splat_four_bytes(side.at(r, minus_offset(halves, half)))) * of_row;
          }
          MMBATCH_UNROLLED(C, c) {
            const FloatRegister added = to_floats(part[r][c]) * of_row * scale[c];
            float* at = to + r * Panel::kColumns + c * kRegisterLanes;
            FloatRegister sum =
                in_registers ? sums[in_registers ? r : 0][c] : load_register<FloatRegister>(at);
            sum = sum + added;
            if constexpr (floors) sum = sum + minimum[c] * sum_of_row;
            if constexpr (in_registers)
              sums[r][c] = sum;
            else
              store_register(at, sum);
          });
        });
      });
      x.move(Panel::kGroup);
      side.move(kSide);
      scales += halves * kLanes;
      minimums += halves * kLanes;
    }
    if constexpr (in_registers) {
      MMBATCH_UNROLLED(R, r) {
        MMBATCH_UNROLLED(C, c) {
          store_register(to + r * Panel::kColumns + c * kRegisterLanes, sums[r][c]);
        });
      });
    }
  }
};

}  // namespace mmbatch::MMBATCH_ISA
