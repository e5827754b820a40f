#pragma once

// The loop that all formats of panels share: groups of rows pass over a strip of columns, and memory is asked
// for what comes behind it meanwhile.

#include "engine/kernels/panel.h"
#include "engine/kernels/simd/blocks/results.h"
#include "engine/kernels/simd/dot.h"

namespace mmbatch::MMBATCH_ISA {

static_assert(Panel::kStrip == kLanes);
constexpr std::size_t kStrips = Panel::kColumns / Panel::kStrip;
/// Registers of sums of a row with a strip, and with a panel.
constexpr std::size_t kStripRegisters = Panel::kStrip / kRegisterLanes;
constexpr std::size_t kPanelRegisters = kStrips * kStripRegisters;

/// The strips of a panel, and behind them those of the one that is multiplied next.
struct StripsInTurn {
  const std::byte* panel;
  const std::byte* next;
  std::size_t strip_bytes;

  StripsInTurn(const PanelProduct& p, std::size_t strip_bytes_)
      : panel(p.panel),
        next(p.next != nullptr ? p.next : p.panel + kStrips * strip_bytes_),
        strip_bytes(strip_bytes_) {}
  __attribute__((always_inline)) const std::byte* operator[](std::size_t strip) const {
    return strip < kStrips ? panel + strip * strip_bytes : next + (strip - kStrips) * strip_bytes;
  }
};

/// Lines of memory that are wanted later, some in each turn of a loop.
struct Fetch {
  /// Which cache they go to. The first one can wait for few lines at a time: what is wanted late may hold up
  /// there what is computed with.
  enum class To { first, second };

  const std::byte* next;
  std::size_t lines;  // of each turn
  To to;

  MMBATCH_INLINE void turn(const Fetch& fetch, std::size_t index) {
    const std::byte* at = fetch.next + index * fetch.lines * 64;
    const std::byte* const end = at + fetch.lines * 64;
    if (fetch.to == To::first) {
      for (; at != end; at += 64) __builtin_prefetch(at, 0, 3);
    } else {
      for (; at != end; at += 64) __builtin_prefetch(at, 0, 2);
    }
  }
};

/// Calls body.operator()<rows>() for rows ≤ most.
template <std::size_t most, class Body>
MMBATCH_INLINE void with_rows(std::size_t rows, const Body& body) {
  if (rows == most) return body.template operator()<most>();
  if constexpr (most > 1) with_rows<most - 1>(rows, body);
}

/// Calls body.operator()<R>(first_row) for groups of R ≤ most rows, about equally many, that cover all rows.
template <std::size_t most, class Body>
MMBATCH_INLINE void for_row_groups(std::size_t rows, const Body& body) {
  const std::size_t groups = (rows + most - 1) / most;
  std::size_t first = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t count = rows / groups + (g < rows % groups ? 1 : 0);
    with_rows<most>(count, [&]<std::size_t R>() { body.template operator()<R>(first); });
    first += count;
  }
}

/// What lies behind a block that is so short that it stays in the first-level cache: each group of rows that
/// passes over it, in `turns` turns, asks for a share, until all is on its way.
class SharedFetch {
 public:
  SharedFetch(const std::byte* behind, std::size_t bytes, std::size_t turns, std::size_t rows,
              std::size_t groups)
      : fetch_{behind, (bytes + 64 * turns * groups - 1) / (64 * turns * groups),
               rows <= kSoonRows || reads_as_zen5() ? Fetch::To::first : Fetch::To::second},
        end_(behind + bytes),
        turns_(turns) {}

  /// Of the next group.
  __attribute__((always_inline)) Fetch next() {
    if (fetch_.next >= end_) fetch_.lines = 0;
    const Fetch share = fetch_;
    fetch_.next += turns_ * fetch_.lines * 64;
    return share;
  }

 private:
  static constexpr std::size_t kSoonRows = 16;  // so few want it soon

  Fetch fetch_;
  const std::byte* end_;
  std::size_t turns_;
};

/// Calls work.run<R>(first_row, fetch) for groups of R ≤ most rows, which pass over such a short block.
template <std::size_t most, class Work>
MMBATCH_INLINE void for_row_groups_of_block(std::size_t rows, const std::byte* behind, std::size_t bytes,
                                            std::size_t turns, const Work& work) {
  SharedFetch fetch(behind, bytes, turns, rows, (rows + most - 1) / most);
  for_row_groups<most>(rows,
                       [&]<std::size_t R>(std::size_t first) { work.template run<R>(first, fetch.next()); });
}

/// Words of R rows. A pointer for every four of them, which the compiler must not see through: with one for
/// each it runs out of registers.
template <std::size_t R>
class RowWords {
 public:
  MMBATCH_INLINE RowWords of(const std::byte* row, std::size_t stride) {
    RowWords words;
    words.stride_ = stride;
    for (std::size_t i = 0; i < kPointers; ++i) {
      words.at_[i] = row + 4 * i * stride;
      asm("" : "+r"(words.at_[i]));
    }
    return words;
  }
  /// `offset` bytes behind row r's place.
  __attribute__((always_inline)) const std::byte* at(std::size_t r, std::size_t offset) const {
    return at_[r / 4] + r % 4 * stride_ + offset;
  }
  /// The four bytes there, in every lane.
  __attribute__((always_inline)) Ints splat(std::size_t r, std::size_t offset) const {
    return splat_ints(at(r, offset));
  }
  __attribute__((always_inline)) void move(std::size_t bytes) {
    for (std::size_t i = 0; i < kPointers; ++i) at_[i] += bytes;
  }

 private:
  static constexpr std::size_t kPointers = (R + 3) / 4;
  const std::byte* at_[kPointers];
  std::size_t stride_;
};

/// Whether a block begins its sums or continues those that are stored.
enum class Begin { zero, stored };

/// Rows of which the sums of kBlockStrips strips stay in registers, beside what they are made of; and rows so
/// few that weights need not stay in a cache for them.
#if defined(__AVX512F__)
constexpr std::size_t kBlockStrips = 2, kBlockRows = 12, kStreamedRows = kBlockRows;
#else
constexpr std::size_t kBlockStrips = 1, kBlockRows = 4, kStreamedRows = 1;
#endif

/// y[R rows] (+)= x · a block of neighbouring strips: `steps` times [kStrip] words of four bytes of each,
/// which meet words of x. Words says what they are: it has Sums, load(y), store(y, sums), weights(block),
/// kBytes that a step of weights takes in memory, and add(sums, weights, x); where weights are narrower than
/// what is multiplied, Wide, the Words of what they become for many rows.
template <class Words>
struct Block {
  static constexpr std::size_t kTurn = 4;  // steps of a turn

  const std::byte* x;  // of row 0, at the block's depth
  std::size_t row_bytes;
  const std::byte* block;
  std::size_t block_stride;  // from one strip to the next
  std::size_t fetch_stride;  // of what lies behind, the same
  std::size_t steps;
  Begin begin;
  float* y;  // rows Panel::kColumns apart

  /// @param fetch of the first strip; of the others, what lies as far from theirs
  /// @param to [R, kBlockStrips · kStrip], rows to_stride apart: where the sums go
  template <std::size_t R>
  __attribute__((noinline)) void run(std::size_t first, Fetch fetch, float* to, std::size_t to_stride) const {
    constexpr std::size_t V = kBlockStrips;
    typename Words::Sums sums[R][V];
    const float* from = y + first * Panel::kColumns;
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) {
        sums[r][v] = begin == Begin::zero ? typename Words::Sums{}
                                          : Words::load(from + r * Panel::kColumns + v * Panel::kStrip);
      }
    }
    auto rows = RowWords<R>::of(x + first * row_bytes, row_bytes);
    const std::byte* w = block;
    const std::size_t turns = steps / kTurn, stride = block_stride;
    for (std::size_t turn = 0; turn < turns; ++turn) {
      for (std::size_t v = 0; v < V; ++v)
        Fetch::turn({fetch.next + v * fetch_stride, fetch.lines, fetch.to}, turn);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTurn; ++i) {
        Ints weights[V];
        for (std::size_t v = 0; v < V; ++v) weights[v] = Words::weights(w + v * stride + i * Words::kBytes);
        for (std::size_t r = 0; r < R; ++r) {
          const Ints word = rows.splat(r, 4 * i);
          for (std::size_t v = 0; v < V; ++v) sums[r][v] = Words::add(sums[r][v], weights[v], word);
        }
      }
      w += kTurn * Words::kBytes;
      rows.move(kTurn * 4);
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) Words::store(to + r * to_stride + v * Panel::kStrip, sums[r][v]);
    }
  }
};

/// A block whose sums stay in y, or, if it is the last one of a panel's depth, are complete: those of a group
/// of rows do not leave the first-level cache on their way to the target.
template <class Words, class Values>
struct BlockInTurn {
  Block<Words> block;
  const PanelProduct& p;
  std::size_t strip;
  bool last;
  const Values& values;

  template <std::size_t R>
  __attribute__((always_inline)) void run(std::size_t first, Fetch fetch) const {
    float* const place = block.y + first * Panel::kColumns;
    if (!last) return block.template run<R>(first, fetch, place, Panel::kColumns);
    constexpr std::size_t kStride = kBlockStrips * Panel::kStrip;
    alignas(64) float sums[R * kStride];
    const Results results = p.target == nullptr
                                ? Results{place, Panel::kColumns, first, R, strip, kBlockStrips}
                                : Results{sums, kStride, first, R, strip, kBlockStrips};
    block.template run<R>(first, fetch, results.at, results.stride);
    deliver(p, results, values);
  }
};

/// y[all rows] = x · kBlockStrips strips, whose depth is `steps` times a step: in blocks that stay in the
/// first-level cache while groups of rows pass over them. Each group asks for its share of the block behind,
/// so that memory is busy all the time.  @param x of row 0, without its header  @param values see
/// deliver()
template <class Words, class Values>
MMBATCH_INLINE void take_strips(const PanelProduct& p, const std::byte* x, std::size_t steps,
                                const StripsInTurn& all, std::size_t strip, const Values& values) {
  constexpr std::size_t kTurn = Block<Words>::kTurn;
  constexpr bool widens = requires {
    typename Words::Wide;
  };
  const std::size_t cached = panel_block_bytes() / (kBlockStrips * 64 * kTurn), turns = steps / kTurn;
  const std::size_t blocks = (turns + cached - 1) / cached, most = (turns + blocks - 1) / blocks * kTurn;
  for (std::size_t done = 0; done < steps; done += most) {
    const std::size_t count = most < steps - done ? most : steps - done;
    const std::byte* block = all[strip] + done * Words::kBytes;
    const std::byte* behind =
        done + count < steps ? block + count * Words::kBytes : all[strip + kBlockStrips];
    const auto take = [&]<class W>(W, const std::byte* weights, std::size_t stride) {
      const BlockInTurn<W, Values> work{
          {x + 4 * done, p.row_bytes, weights, stride, all.strip_bytes, count,
           done == 0 ? Begin::zero : Begin::stored, p.y + strip * Panel::kStrip},
          p,
          strip,
          done + count == steps,
          values};
      for_row_groups_of_block<kBlockRows>(p.rows, behind, count * Words::kBytes, count / kTurn, work);
    };
    if constexpr (widens) {
      alignas(64) std::byte wide[kMostBlockBytes];
      const std::size_t stride = count * 64;
      for (std::size_t v = 0; v < kBlockStrips; ++v) {
        for (std::size_t i = 0; i < count; ++i)
          store_ints(wide + v * stride + i * 64,
                     Words::weights(block + v * all.strip_bytes + i * Words::kBytes));
      }
      take(typename Words::Wide(), wide, stride);
    } else {
      take(Words(), block, all.strip_bytes);
    }
  }
}

/// Few rows are as fast as memory where a step waits for no sum of the step before: with the sums of several
/// strips at once, of which each has a stream of memory of its own.
template <class Words>
struct StreamedBlock {
  static constexpr std::size_t kTurn = 4;  // steps

  const PanelProduct& p;
  const std::byte* x;
  std::size_t steps;
  std::size_t strip_bytes;

  template <std::size_t R>
  __attribute__((always_inline)) void run() const {
    constexpr std::size_t V = R * kStrips <= kBlockRows * kBlockStrips ? kStrips : kBlockStrips;
    for (std::size_t strip = 0; strip < kStrips; strip += V) {
      if (reads_as_zen5())
        strips<R, V, Fetch::To::first>(strip);
      else
        strips<R, V, Fetch::To::second>(strip);
    }
  }

  /// V strips from `first` on.  @param to where lines go from memory: those that go to the second-level cache
  /// are asked for once more, shortly before their use
  template <std::size_t R, std::size_t V, Fetch::To to>
  __attribute__((noinline)) void strips(std::size_t first) const {
    constexpr std::size_t bytes_ahead = (to == Fetch::To::first ? 4096 : 16384) / V;  // of each stream
    constexpr std::size_t bytes_soon = 512;
    typename Words::Sums sums[R][V] = {};
    auto rows = RowWords<R>::of(x, p.row_bytes);
    const StripsInTurn all(p, strip_bytes);
    const std::byte *w = all[first], *ahead = w + bytes_ahead;
    const std::size_t turns = steps / kTurn, stride = strip_bytes;
    constexpr std::size_t most_ahead = bytes_ahead / (kTurn * Words::kBytes);
    const std::size_t turns_ahead = most_ahead < turns ? most_ahead : turns;
    for (std::size_t turn = 0; turn < turns; ++turn) {
      if (turn + turns_ahead == turns) ahead = all[first + V];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kTurn; ++i) {
        Ints weights[V];
        for (std::size_t v = 0; v < V; ++v) {
          const std::size_t at = v * stride + i * Words::kBytes;
          if (i * Words::kBytes % 64 == 0) {
            __builtin_prefetch(ahead + at, 0, to == Fetch::To::first ? 3 : 2);
            if constexpr (to == Fetch::To::second) __builtin_prefetch(w + bytes_soon + at, 0, 3);
          }
          weights[v] = Words::weights(w + at);
        }
        for (std::size_t r = 0; r < R; ++r) {
          const Ints word = rows.splat(r, 4 * i);
          for (std::size_t v = 0; v < V; ++v) sums[r][v] = Words::add(sums[r][v], weights[v], word);
        }
      }
      w += kTurn * Words::kBytes;
      ahead += kTurn * Words::kBytes;
      rows.move(kTurn * 4);
    }
    float* y = p.y + first * Panel::kStrip;
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v)
        Words::store(y + r * Panel::kColumns + v * Panel::kStrip, sums[r][v]);
    }
  }
};

/// A panel's products.  @param values see deliver()
template <class Words, class Values>
void take_panel(const PanelProduct& p, const std::byte* x, std::size_t steps, std::size_t strip_bytes,
                const Values& values) {
  if (p.rows <= kStreamedRows) {
    const StreamedBlock<Words> work{p, x, steps, strip_bytes};
    with_rows<kStreamedRows>(p.rows, [&]<std::size_t R>() { work.template run<R>(); });
    return deliver_all(p, values);
  }
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t s = 0; s < kStrips; s += kBlockStrips) take_strips<Words>(p, x, steps, strips, s, values);
}

/// The scales of a panel's columns.
struct StripScales {
  Floats of[kStrips];

  StripScales(const std::byte* first, std::size_t strip_bytes) {
    for (std::size_t s = 0; s < kStrips; ++s)
      of[s] = load(reinterpret_cast<const float*>(first + s * strip_bytes));
  }
};

/// Sums times the scales of columns, see deliver().
struct ScaledSums {
  static constexpr bool kChange = true;

  StripScales columns;

  __attribute__((always_inline)) const ScaledSums& of(std::size_t) const { return *this; }
  __attribute__((always_inline)) Floats operator()(const float* sums, std::size_t strip) const {
    return load(sums) * columns.of[strip];
  }
};

}  // namespace mmbatch::MMBATCH_ISA
