#pragma once

// The loops of int8 products where no instruction adds four of them to a 32-bit sum in 64 bytes at once.

#include "engine/kernels/simd/blocks/int8_words.h"

namespace mmbatch::MMBATCH_ISA {

/// What the sums of every row with a strip begin with.
template <class Bytes>
struct Starts {
  IntRegister of[Panel::kStrip / Bytes::kColumns] = {};
};

/// y[all rows] (+)= x · a part of a strip, `steps` times four inputs.
template <class Bytes>
struct Int8Block {
  static constexpr std::size_t kTurn = 4;  // steps
  static constexpr std::size_t kStripRegisters = Panel::kStrip / Bytes::kColumns;
  static constexpr std::size_t kStepBytes = kStripRegisters * Bytes::kWeightBytes;
  static constexpr std::size_t kRows = kRegisters == 32 ? 12 : Bytes::kWeightRegisters == 2 ? 4 : 6;

  const std::byte* x;  // of row 0, at the block's depth
  std::size_t row_bytes;
  const std::byte* block;
  std::size_t steps;
  Begin begin;
  Starts<Bytes> starts;
  float* y;  // rows Panel::kColumns apart

  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    constexpr std::size_t C = registers_of_columns(R, kStripRegisters, Bytes::kWeightRegisters);
    for (std::size_t c = 0; c < kStripRegisters; c += C) {
      columns<R, C>(first, c, fetch);
      fetch.lines = 0;
    }
  }

  template <std::size_t R, std::size_t C>
  __attribute__((noinline)) void columns(std::size_t first, std::size_t column, Fetch fetch) const {
    IntRegister sums[R][C];
    MMBATCH_UNROLLED(R * C, i) {
      sums[i / C][i % C] = starts.of[column + i % C];
    });
    auto rows = RowWords<R>::of(x + first * row_bytes, row_bytes);
    const std::byte* w = block + column * Bytes::kWeightBytes;
    const std::size_t turns = steps / kTurn;
    for (std::size_t turn = 0; turn < turns; ++turn) {
      Fetch::turn(fetch, turn);
      MMBATCH_UNROLLED(kTurn, i) {
        const std::byte* step = w + i * kStepBytes;
        const auto weights_of = [&]<std::size_t c>() __attribute__((always_inline)) {
          return Bytes::weights(step + c * Bytes::kWeightBytes);
        };
        const auto row_of = [&]<std::size_t r>() __attribute__((always_inline)) {
          return Bytes::splat(rows.at(r, i * Bytes::kXBytes));
        };
        add_each(
            sums, weights_of, row_of,
            [](IntRegister sum, const typename Bytes::Weights& weights, IntRegister row)
                __attribute__((always_inline)) { return Bytes::add(sum, weights, row); });
      });
      w += kTurn * kStepBytes;
      rows.move(kTurn * Bytes::kXBytes);
    }
    float* to = y + first * Panel::kColumns + column * Bytes::kColumns;
    MMBATCH_UNROLLED(R, r) {
      Bytes::template put<C>(sums[r], begin, to + r * Panel::kColumns);
    });
  }
};

/// Steps of a part of the depth, at most, found by measurement: from 1 to 16 KiB of weights.
constexpr std::size_t kReadySteps = 128;
constexpr std::size_t steps_of_part(std::size_t rows, bool ready) {
  if (ready) return kReadySteps;
  return rows <= 8 ? 16 : rows <= 16 ? 32 : 256;
}

/// A panel's sums, as integers. The depth in parts, so short that rows pass over one in the first-level
/// cache, and with few rows so much shorter that the strips are streams of memory side by side.
/// @param x of row 0, without its header
template <class Bytes>
void take_int8_panel(const PanelProduct& p, const std::byte* x, std::size_t strip_bytes) {
  constexpr bool makes_ready = requires {
    typename Bytes::Ready;
  };
  constexpr std::size_t kStepBytes = Panel::kStrip * 4;
  const bool ready = makes_ready && p.rows > Int8Block<Bytes>::kRows;
  const std::size_t most = steps_of_part(p.rows, ready);
  const std::size_t steps = p.depth / 4;
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t first = 0; first < steps; first += most) {
    const std::size_t count = most < steps - first ? most : steps - first, bytes = count * kStepBytes;
    for (std::size_t s = 0; s < kStrips; ++s) {
      const std::byte* block = strips[s] + first * kStepBytes;
      const std::byte* behind = first + count < steps ? block + bytes : strips[s + kStrips];
      const auto take = [&]<class Words>(Words, const std::byte* weights, const Starts<Words>& starts) {
        const Int8Block<Words> work{x + first * Words::kXBytes,
                                    p.row_bytes,
                                    weights,
                                    count,
                                    first == 0 ? Begin::zero : Begin::stored,
                                    starts,
                                    p.y + s * Panel::kStrip};
        for_row_groups_of_block<Int8Block<Words>::kRows>(p.rows, behind, bytes,
                                                         count / Int8Block<Words>::kTurn, work);
      };
      if constexpr (makes_ready) {
        if (ready) {
          using Ready = typename Bytes::Ready;
          alignas(64) std::byte weights[kReadySteps * Int8Block<Ready>::kStepBytes];
          Starts<Ready> starts{};
          for (std::size_t i = 0; i < count; ++i) {
            MMBATCH_UNROLLED(Int8Block<Ready>::kStripRegisters, c) {
              starts.of[c] = Bytes::make_ready(
                  block + i * kStepBytes + c * Bytes::kWeightBytes,
                  weights + i * Int8Block<Ready>::kStepBytes + c * Ready::kWeightBytes, starts.of[c]);
            });
          }
          take(Ready(), weights, starts);
          continue;
        }
      }
      take(Bytes(), block, {});
    }
  }
}

}  // namespace mmbatch::MMBATCH_ISA
