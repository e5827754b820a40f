#pragma once

// The loop that all formats of panels share: the depth is cut into blocks that stay in the second-level cache
// while every row passes over them, and the next block is fetched from memory meanwhile.

#include "engine/kernels/simd/dot.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kPanelVectors = Panel::kColumns / kLanes;

/// How many of a step's four cache lines a group of rows fetches of the next block.
enum class Fetch : std::size_t { none = 0, quarter = 1, half = 2, all = 4 };

template <Fetch fetch>
MMBATCH_INLINE void fetch_lines(const std::byte* next, std::size_t step) {
  constexpr auto kLines = static_cast<std::size_t>(fetch);
  for (std::size_t line = 0; line < kLines; ++line) __builtin_prefetch(next + (step * kLines + line) * 64);
}

/// What is fetched while the rows pass over a block. Few of them are as fast as memory: a stream that is asked
/// for a little ahead, which the machine's own prefetcher follows. More leave it time to bring the next block.
MMBATCH_INLINE const std::byte* to_fetch(std::size_t rows, const std::byte* block, std::size_t block_bytes) {
  constexpr std::size_t kReadAhead = 8192;
  return block + (rows <= kDotRows ? kReadAhead : block_bytes);
}

/// Calls work.run<R, fetch>(first_row, share) for groups of R ≤ kDotRows rows that cover all rows. The groups
/// share the fetching of the next block among them, so that memory is busy while they compute; `quarter` is a
/// quarter of the block's bytes.
template <class Work>
MMBATCH_INLINE void for_row_groups(std::size_t rows, const std::byte* next, std::size_t quarter,
                                   const Work& work) {
  const std::size_t groups = (rows + kDotRows - 1) / kDotRows;
  std::size_t first = 0, fetched = 0;  // quarters
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t count = rows / groups + (g < rows % groups ? 1 : 0);
    const auto run = [&]<Fetch fetch>() {
      const std::byte* share = next + fetched * quarter;
      if (count == 1) work.template run<1, fetch>(first, share);
      if (count == 2) work.template run<2, fetch>(first, share);
      if (count == 3) work.template run<3, fetch>(first, share);
      if (count == 4) work.template run<4, fetch>(first, share);
      if constexpr (kDotRows > 4) {
        if (count == 5) work.template run<5, fetch>(first, share);
        if (count == 6) work.template run<6, fetch>(first, share);
      }
      fetched += static_cast<std::size_t>(fetch);
    };
    // As early as it does not hold up the computing: found by measurement.
    if (groups <= 2 && fetched == 0)
      run.template operator()<Fetch::all>();
    else if (groups == 3 && fetched == 0)
      run.template operator()<Fetch::half>();
    else if (fetched < 4)
      run.template operator()<Fetch::quarter>();
    else
      run.template operator()<Fetch::none>();
    first += count;
  }
}

/// Whether a block begins its sums or goes on with what is stored.
enum class Begin { zero, stored };

/// y[R rows] (+)= x · block. The block is `steps` times [kColumns] words of four bytes, which meet words of
/// x: Dot says what a word is, and has Sums, load(y), store(y, sums) and add(sums, weights, x).
template <class Dot>
struct Block {
  using Sums = typename Dot::Sums;

  const std::byte* x;  // of row 0, at the block's depth
  std::size_t row_bytes;
  const std::byte* block;
  std::size_t steps;
  Begin begin;
  float* y;

  template <std::size_t R, Fetch fetch>
  __attribute__((always_inline)) inline void columns(std::size_t first, std::size_t vector,
                                                     const std::byte* next) const {
    Sums sums[R][kDotVectors];
    float* to = y + first * Panel::kColumns + vector * kLanes;
    const std::byte* row = x + first * row_bytes;
    const std::byte* w = block + vector * 64;
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < kDotVectors; ++v)
        sums[r][v] = begin == Begin::zero ? Sums{} : Dot::load(to + r * Panel::kColumns + v * kLanes);
    }
    const std::size_t stride = row_bytes, count = steps;
    for (std::size_t i = 0; i < count; ++i) {
      fetch_lines<fetch>(next, i);
      Ints weights[kDotVectors];
      for (std::size_t v = 0; v < kDotVectors; ++v) weights[v] = load_ints(w + (i * kPanelVectors + v) * 64);
      for (std::size_t r = 0; r < R; ++r) {
        const Ints word = splat_ints(row + r * stride + i * 4);
        for (std::size_t v = 0; v < kDotVectors; ++v) sums[r][v] = Dot::add(sums[r][v], weights[v], word);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < kDotVectors; ++v)
        Dot::store(to + r * Panel::kColumns + v * kLanes, sums[r][v]);
    }
  }

  template <std::size_t R, Fetch fetch>
  void run(std::size_t first, const std::byte* next) const {
    columns<R, fetch>(first, 0, next);
    for (std::size_t v = kDotVectors; v < kPanelVectors; v += kDotVectors)
      columns<R, Fetch::none>(first, v, next);
  }
};

/// Words are pairs of bfloat16.
struct PairsOfBf16 {
  using Sums = Floats;
  MMBATCH_INLINE Floats load(const float* y) { return mmbatch::MMBATCH_ISA::load(y); }
  MMBATCH_INLINE void store(float* y, Floats sums) { mmbatch::MMBATCH_ISA::store(y, sums); }
  MMBATCH_INLINE Floats add(Floats sums, Ints weights, Ints x) { return dot2(sums, weights, x); }
};
using Bf16Block = Block<PairsOfBf16>;

/// Words are four bytes; y holds integers meanwhile.
struct FoursOfBytes {
  using Sums = Ints;
  MMBATCH_INLINE Ints load(const float* y) { return load_ints(y); }
  MMBATCH_INLINE void store(float* y, Ints sums) { store_ints(y, sums); }
  MMBATCH_INLINE Ints add(Ints sums, Ints weights, Ints x) { return dot4(sums, weights, x); }
};
using Int8Block = Block<FoursOfBytes>;

}  // namespace mmbatch::MMBATCH_ISA
