// int16 weights times int16 activations. Sums of a group of inputs are integers, exact in any order; groups
// are scaled and added up as floats, in the order of the depth, and no product is joined with a sum: every
// level has the same bytes.

#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// y[all rows] (+)= x · a group of inputs of all strips.
struct Int16Block {
  static constexpr std::size_t kTurn = 4;  // steps of two inputs
  static constexpr std::size_t kRows = kRegisters == 32 ? 12 : 6;
  static constexpr std::size_t kStepBytes = Panel::kStrip * 4;
  /// So few are as fast as memory, whose lines they ask for once more, shortly before their use.
  static constexpr std::size_t kFewRows = 4, kSoonBytes = 512;

  const PanelProduct& p;
  std::size_t strip_bytes;
  std::size_t first_input;  // of the group
  std::size_t turns;

  /// @param fetch of the first strip; of the others, what lies as far from theirs
  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    constexpr std::size_t C = registers_of_columns(R, kPanelRegisters);
    for (std::size_t c = 0; c < kPanelRegisters; c += C) {
      const std::size_t strip = c / kStripRegisters;
      const bool begins_strip = c % kStripRegisters == 0;
      columns<R, C>(first, c, {fetch.next + strip * strip_bytes, begins_strip ? fetch.lines : 0, fetch.to});
    }
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, Fetch fetch) const {
    const std::size_t stride = strip_bytes;
    const std::byte* row = p.x + first * p.row_bytes;
    auto rows = RowWords<R>::of(row + first_input * sizeof(std::int16_t), p.row_bytes);
    const std::byte* w = p.panel + column / kStripRegisters * stride + first_input / 2 * kStepBytes +
                         column % kStripRegisters * kRegisterBytes;
    IntRegister sums[R][C] = {};
    for (std::size_t turn = 0; turn < turns; ++turn) {
      MMBATCH_UNROLLED((C + kStripRegisters - 1) / kStripRegisters, s) {
        const std::byte* wanted = fetch.next + s * stride;
        if constexpr (R <= kFewRows) {
          Fetch::turn({wanted, fetch.lines, Fetch::To::second}, turn);
          Fetch::turn({w + s * stride + kSoonBytes, fetch.lines, Fetch::To::first}, 0);
        } else {
          Fetch::turn({wanted, fetch.lines, fetch.to}, turn);
        }
      });
      MMBATCH_UNROLLED(kTurn, i) {
        const auto weights_of = [&]<std::size_t c>() __attribute__((always_inline)) {
          return load_register<IntRegister>(w + c / kStripRegisters * stride + i * kStepBytes +
                                            c % kStripRegisters * kRegisterBytes);
        };
        const auto row_of = [&]<std::size_t r>() __attribute__((always_inline)) {
          return splat_four_bytes(rows.at(r, 4 * i));
        };
        add_each(
            sums, weights_of, row_of,
            [](IntRegister sum, IntRegister weights, IntRegister row)
                __attribute__((always_inline)) { return add_pairs(sum, weights, row); });
      });
      w += kTurn * kStepBytes;
      rows.move(kTurn * 4);
    }
    const std::size_t group = first_input / Panel::kInt16Group;
    auto scales = RowWords<R>::of(row + p.depth * sizeof(std::int16_t) + group * sizeof(float), p.row_bytes);
    float* to = p.y + first * Panel::kColumns + column * kRegisterLanes;
    MMBATCH_UNROLLED(R, r) {
      const FloatRegister scale = splat_register(scales.at(r, 0));
      MMBATCH_UNROLLED(C, c) {
        float* at = to + r * Panel::kColumns + c * kRegisterLanes;
        const FloatRegister before = group == 0 ? FloatRegister{} : load_register<FloatRegister>(at);
        store_register(at, before + kept(to_floats(sums[r][c]) * scale));
      });
    });
  }
};

}  // namespace

void int16_panel(const PanelProduct& p) {
  constexpr std::size_t kGroup = Panel::kInt16Group, kInputBytes = Panel::kStrip * sizeof(std::int16_t);
  const std::size_t bytes = p.depth * kInputBytes, strip_bytes = bytes + Panel::kStrip * sizeof(float);
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t first = 0; first < p.depth; first += kGroup) {
    const std::size_t inputs = kGroup < p.depth - first ? kGroup : p.depth - first;
    const std::size_t turns = inputs / (2 * Int16Block::kTurn), end = first + inputs;
    const std::byte* behind = end < p.depth ? strips[0] + end * kInputBytes : strips[kStrips];
    const Int16Block work{p, strip_bytes, first, turns};
    for_row_groups_of_block<Int16Block::kRows>(p.rows, behind, inputs * kInputBytes, turns, work);
  }
  deliver_all(p, ScaledSums{StripScales(p.panel + bytes, strip_bytes)});
}

}  // namespace mmbatch::MMBATCH_ISA
