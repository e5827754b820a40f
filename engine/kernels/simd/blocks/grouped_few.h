#pragma once

// Few rows times small numbers in groups: as fast as memory, or nearly.

#include "engine/kernels/simd/blocks/grouped_bytes.h"
#include "engine/kernels/simd/blocks/grouped_codes.h"
#include "engine/kernels/simd/blocks/grouped_scales.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

/// y[all rows] = x · a panel, whose codes and scales are looked at where they lie. Several strips are taken
/// at once: each is a stream of memory of its own, and none waits for its own sums. Codes says how weights
/// are stored, Scales what is stored behind those of a unit.
template <class Codes, class Scales, class Kind>
struct FewGroupedRows {
  using Bytes = GroupedBytes<Kind::wide>;
  static constexpr std::size_t halves = Kind::halves;
  static constexpr bool floors = Kind::floors;
  static constexpr std::size_t kSide = sizeof(GroupedRow::Side);
  static constexpr std::size_t kGroups = Scales::kGroups / halves;  // of 32 inputs, in a unit
  /// Units that memory is asked for ahead: two to four kilobytes of each strip. As whole units, so that each
  /// line is asked for where its counterpart is used.
  static constexpr std::size_t kUnitsAhead = 8 / kGroups;

  /// Registers of columns at a time: with AVX-512 all of a panel. More rows or narrower registers are as much
  /// more code, which takes the compiler long and has a cache of its own to fit into.
  static constexpr std::size_t together([[maybe_unused]] std::size_t R) {
#if defined(__SSSE3__)
    return kRegisters == 32 ? kStrips : R == 1 ? 8 : R == 2 ? 4 : 2;
#else
    return 2;
#endif
  }

  const PanelProduct& p;
  const GroupedPanel& g;
  std::size_t units;

  template <std::size_t R>
  __attribute__((always_inline)) void run() const {
    // More rows of codes narrower than bytes wait for the sums of a single strip.
    constexpr bool one_by_one =
        kRegisters == 32 && (R == 1 || Codes::kGroupBytes == CodesOfBytes::kGroupBytes);
    if constexpr (one_by_one) {
      if (reads_as_zen5()) return run<R, kStripRegisters>();
    }
    run<R, together(R)>();
  }
  template <std::size_t R, std::size_t C>
  __attribute__((always_inline)) void run() const {
    for (std::size_t column = 0; column < kStrips * kStripRegisters; column += C) columns<R, C>(column);
  }

  /// Of C registers of columns.
  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first) const {
    constexpr std::size_t kSteps = 8 / halves;  // of four inputs, with one scale
    constexpr std::size_t kStreams = (C + kStripRegisters - 1) / kStripRegisters;  // strips
    const std::size_t stride = units * g.unit_bytes, scale_bytes = g.unit_bytes - g.unit_code_bytes;
    const std::size_t lane = first % kStripRegisters * kRegisterLanes;
    auto x = RowWords<R>::of(p.x, p.row_bytes);
    auto side = RowWords<R>::of(p.x + p.depth, p.row_bytes);
    FloatRegister sums[R][C] = {};
    const std::byte* w = p.panel + first / kStripRegisters * stride;
    const std::byte* ahead = w + kUnitsAhead * g.unit_bytes;
    const std::size_t last = units > kUnitsAhead ? units - kUnitsAhead : 0;
    for (std::size_t unit = 0; unit < units; ++unit) {
      if (unit == last) ahead = StripsInTurn(p, stride)[first / kStripRegisters + kStreams];
      const std::byte *scales = w + g.unit_code_bytes, *scales_ahead = ahead + g.unit_code_bytes;
      Scales of_unit[C];
      MMBATCH_UNROLLED(C, c) {
        of_unit[c] = Scales::of_unit(scales + c / kStripRegisters * stride, lane + lane_of(c));
      });
      for (std::size_t group = 0; group < kGroups;
           ++group, w += Codes::kGroupBytes, ahead += Codes::kGroupBytes) {
        for (std::size_t at = group * 64; at < scale_bytes; at += kGroups * 64) {
          MMBATCH_UNROLLED(kStreams, s) {
            __builtin_prefetch(scales_ahead + s * stride + at, 0, 3);
          });
        }
        MMBATCH_UNROLLED(halves, half) {
          IntRegister part[R][C];
          begin_group<Kind, half>(g, side, part);
          MMBATCH_UNROLLED(kSteps / 2, step) {
            constexpr std::size_t kStep = half * kSteps + 2 * step;
            IntRegister front[R], back[R];
            MMBATCH_UNROLLED(R, r) {
              front[r] = splat_four_bytes(x.at(r, 4 * kStep));
              back[r] = splat_four_bytes(x.at(r, 4 * kStep + 4));
            });
            MMBATCH_UNROLLED(C, c) {
              const std::byte* codes = w + c / kStripRegisters * stride;
              if constexpr (c % kStripRegisters == 0) fetch<kStep / 2>(ahead + c / kStripRegisters * stride);
              const auto weights =
                  Bytes::ready(Codes::template two_steps<kStep>(g, codes + 4 * (lane + lane_of(c))));
              MMBATCH_UNROLLED(R, r) {
                part[r][c] = kept(Bytes::add(part[r][c], weights, front[r], back[r]));
              });
            });
          });
          FloatRegister of_row[R], sum_of_row[R];
          MMBATCH_UNROLLED(R, r) {
            of_row[r] = splat_register(side.at(r, 0));
            if constexpr (floors && halves == 1) sum_of_row[r] = splat_register(side.at(r, 8));
            if constexpr (floors && halves == 2)
              sum_of_row[r] =
                  to_floats(-splat_four_bytes(side.at(r, minus_offset(halves, half)))) * of_row[r];
          });
          MMBATCH_UNROLLED(C, c) {
            const ScaleAndFloor of = of_unit[c].of_group(g, scales + c / kStripRegisters * stride,
                                                         lane + lane_of(c), group * halves + half);
            MMBATCH_UNROLLED(R, r) {
              FloatRegister sum = sums[r][c] + to_floats(part[r][c]) * of_row[r] * of.scale;
              if constexpr (floors) sum = sum + of.floor * sum_of_row[r];
              sums[r][c] = sum;
            });
          });
        });
        x.move(Panel::kGroup);
        side.move(kSide);
      }
      w += g.unit_bytes - kGroups * Codes::kGroupBytes;
      ahead += g.unit_bytes - kGroups * Codes::kGroupBytes;
    }
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(C, c) {
        store_register(p.y + r * Panel::kColumns + (first + c) * kRegisterLanes, sums[r][c]);
      });
    });
  }

  /// The first column of a register, in its strip.
  static constexpr std::size_t lane_of(std::size_t c) {
    return c % kStripRegisters * kRegisterLanes;
  }

  /// The lines of a strip's group that are asked for with the quarter of its inputs.
  template <std::size_t quarter>
  MMBATCH_INLINE void fetch(const std::byte* codes) {
    constexpr std::size_t kLines = Codes::kGroupBytes / 64, kEach = (kLines + 3) / 4;
    MMBATCH_UNROLLED(kEach, i) {
      constexpr std::size_t kLine = quarter * kEach + i;
      if constexpr (kLine < kLines) __builtin_prefetch(codes + kLine * 64, 0, 3);
    });
  }
};

}  // namespace mmbatch::MMBATCH_ISA
