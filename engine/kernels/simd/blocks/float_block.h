#pragma once

// Products in float32, of weights that are floats and of those that are expanded to floats: what bfloat16 and
// its relatives are computed with where the processor multiplies no bfloat16. Rows hold floats. Every element
// is one chain of multiply-adds in the order of the depth, with whichever of these loops.

#include "engine/kernels/simd/blocks/float_formats.h"

namespace mmbatch::MMBATCH_ISA {

/// Registers of columns whose sums for R rows leave room for a constant and, of each of them or of each row,
/// what is multiplied: as few as `held` of these at a time.
constexpr std::size_t float_columns(std::size_t R, std::size_t held) {
  std::size_t C = kPanelRegisters;
  const auto others = [&] { return (R < C ? R : C) < held ? (R < C ? R : C) : held; };
  while (C > 1 && R * C + others() + 1 > kRegisters) C /= 2;
  return C;
}

/// What both loops begin and end with: R · C sums in registers, which y holds meanwhile.
template <std::size_t R, std::size_t C>
struct FloatSums {
  FloatRegister of[R][C];

  MMBATCH_INLINE FloatSums load(const float* y, Begin begin) {
    FloatSums sums;
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(C, c) {
        const float* at = y + r * Panel::kColumns + c * kRegisterLanes;
        sums.of[r][c] = begin == Begin::zero ? FloatRegister{} : load_register<FloatRegister>(at);
      });
    });
    return sums;
  }
  __attribute__((always_inline)) void store(float* y) const {
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(C, c) {
        store_register(y + r * Panel::kColumns + c * kRegisterLanes, of[r][c]);
      });
    });
  }
};

/// y[all rows] (+)= x · floats of some inputs, [kStrips][inputs][Panel::kStrip].
struct FloatBlock {
  static constexpr std::size_t kTurn = 4;  // inputs
  static constexpr std::size_t kRows = kRegisters == 32 ? 12 : 6;

  /// Memory to be asked for, some of each strip in each turn.
  struct Ahead {
    const std::byte* at;
    std::size_t strip_bytes;
    std::size_t turn_bytes;  // 0: none
  };

  const std::byte* x;  // of row 0, at the first input
  std::size_t row_bytes;
  const float* floats;
  std::size_t strip;  // floats from one to the next
  std::size_t inputs;
  Begin begin;
  Ahead ahead;
  float* y;  // rows Panel::kColumns apart

  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first) const {
    constexpr std::size_t C = float_columns(R, R);
    for (std::size_t c = 0; c < kPanelRegisters; c += C)
      columns<R, C>(first, c, first == 0 ? ahead.turn_bytes : 0);
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, std::size_t fetched) const {
    float* to = y + first * Panel::kColumns + column * kRegisterLanes;
    FloatSums<R, C> sums = FloatSums<R, C>::load(to, begin);
    auto rows = RowWords<R>::of(x + first * row_bytes, row_bytes);
    const std::size_t first_strip = column / kStripRegisters, stride = strip;
    const float* w = floats + first_strip * stride + column % kStripRegisters * kRegisterLanes;
    const std::byte* wanted = ahead.at + first_strip * ahead.strip_bytes;
    for (std::size_t k = 0; k < inputs; k += kTurn, w += kTurn * Panel::kStrip, wanted += fetched) {
      for (std::size_t byte = 0; byte < fetched; byte += 64) {
        MMBATCH_UNROLLED((C + kStripRegisters - 1) / kStripRegisters, s) {
          __builtin_prefetch(wanted + s * ahead.strip_bytes + byte, 0, 2);
        });
      }
      MMBATCH_UNROLLED(kTurn, i) {
        const auto weights_of = [&]<std::size_t c>() __attribute__((always_inline)) {
          return load_register<FloatRegister>(w + c / kStripRegisters * stride + i * Panel::kStrip +
                                              c % kStripRegisters * kRegisterLanes);
        };
        const auto row_of = [&]<std::size_t r>() __attribute__((always_inline)) {
          return splat_register(rows.at(r, 4 * i));
        };
        add_each(
            sums.of, weights_of, row_of,
            [](FloatRegister sum, FloatRegister weights, FloatRegister row)
                __attribute__((always_inline)) { return sum + weights * row; });
      });
      rows.move(kTurn * sizeof(float));
    }
    sums.store(to);
  }
};

/// The same for few rows, which are as fast as memory: from weights as they are stored.
template <class Format>
struct ExpandingBlock {
  static constexpr std::size_t kRows = kRegisters == 32 ? 8 : 6;
  static constexpr std::size_t kAhead = 2048;

  const PanelProduct& p;

  template <std::size_t R>
  __attribute__((always_inline)) void run() const {
    constexpr std::size_t C = float_columns(R, 2);
    for (std::size_t c = 0; c < kPanelRegisters; c += C) columns<R, C>(c);
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t column) const {
    float* to = p.y + column * kRegisterLanes;
    FloatSums<R, C> sums = FloatSums<R, C>::load(to, Begin::zero);
    auto rows = RowWords<R>::of(p.x, p.row_bytes);
    const std::size_t strip_bytes = Format::strip_bytes(p.depth), within = column % kStripRegisters;
    const std::byte* part = p.panel + column / kStripRegisters * strip_bytes;
    for (std::size_t k = 0; k < p.depth; k += kPart, part += Format::kPartBytes) {
      for (std::size_t step = 0; step < kPart / Format::kStep; ++step) {
        MMBATCH_UNROLLED(C, c) {
          const std::byte* strip = part + c / kStripRegisters * strip_bytes;
          if constexpr (c % kStripRegisters == 0)
            __builtin_prefetch(strip + step * Format::kStepBytes + kAhead, 0, 3);
          const Format some = Format::load(strip, step, within + c % kStripRegisters);
          MMBATCH_UNROLLED(Format::kStep, i) {
            const FloatRegister weights = kept(some.template weight<i>());
            MMBATCH_UNROLLED(R, r) {
              sums.of[r][c] = kept(sums.of[r][c] + weights * splat_register(rows.at(r, 4 * i)));
            });
          });
        });
        rows.move(Format::kStep * sizeof(float));
      }
    }
    sums.store(to);
  }
};

/// The products of a panel of floats.
MMBATCH_INLINE void take_float_panel(const PanelProduct& p) {
  constexpr std::size_t kInputs = 128, kAhead = 4096, kInputBytes = Panel::kStrip * sizeof(float);
  const std::size_t strip_bytes = p.depth * kInputBytes;
  for (std::size_t first = 0; first < p.depth; first += kInputs) {
    const std::byte* at = p.panel + first * kInputBytes;
    const FloatBlock work{p.x + first * sizeof(float),
                          p.row_bytes,
                          reinterpret_cast<const float*>(at),
                          p.depth * Panel::kStrip,
                          kInputs < p.depth - first ? kInputs : p.depth - first,
                          first == 0 ? Begin::zero : Begin::stored,
                          {at + kAhead, strip_bytes, FloatBlock::kTurn * kInputBytes},
                          p.y};
    for_row_groups<FloatBlock::kRows>(p.rows,
                                      [&]<std::size_t R>(std::size_t first) { work.template run<R>(first); });
  }
}

/// The products of a panel of another format, before they are scaled by columns.
template <class Format>
void take_expanded_panel(const PanelProduct& p) {
  if (p.rows <= ExpandingBlock<Format>::kRows) {
    const ExpandingBlock<Format> work{p};
    return with_rows<ExpandingBlock<Format>::kRows>(p.rows, [&]<std::size_t R>() { work.template run<R>(); });
  }
  constexpr std::size_t kFloats = kPart * Panel::kStrip, kTurns = kPart / FloatBlock::kTurn;
  alignas(64) float floats[kStrips * kFloats];
  const std::size_t strip_bytes = Format::strip_bytes(p.depth);
  const std::byte* part = p.panel;
  for (std::size_t first = 0; first < p.depth; first += kPart, part += Format::kPartBytes) {
    for (std::size_t s = 0; s < kStrips; ++s) expand<Format>(part + s * strip_bytes, floats + s * kFloats);
    const FloatBlock work{p.x + first * sizeof(float),
                          p.row_bytes,
                          floats,
                          kFloats,
                          kPart,
                          first == 0 ? Begin::zero : Begin::stored,
                          {part + Format::kPartBytes, strip_bytes, Format::kPartBytes / kTurns},
                          p.y};
    for_row_groups<FloatBlock::kRows>(p.rows,
                                      [&]<std::size_t R>(std::size_t first) { work.template run<R>(first); });
  }
}

}  // namespace mmbatch::MMBATCH_ISA
