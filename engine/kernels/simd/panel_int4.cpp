// int4 weights in groups, times int8 activations, and times bfloat16 activations.

#include "engine/kernels/simd/amx/int4.h"
#include "engine/kernels/simd/blocks/float_block.h"
#include "engine/kernels/simd/blocks/int4_block.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

#if !defined(MMBATCH_INT4_BLOCKS)
constexpr std::size_t kEights = Panel::kGroup / 8;
/// Rows at a time: each has a sum of its group, and one of all groups so far.
constexpr std::size_t kRows = kDotRows * 3 / 4 / kDotStrips;

/// The scales of one of the two groups of a pair.
MMBATCH_INLINE Floats load_scales(const std::byte* pair, std::size_t group) {
  return load_bf16(pair + 2 * Panel::kGroupValues + group * Panel::kStrip * 2);
}

/// What a group adds to its rows' sums of V strips before scaling, from activations in int8.
template <std::size_t R, std::size_t V>
struct Int4Group {
  static constexpr std::size_t kXBytes = 1;       // of an activation
  static constexpr std::size_t kRowsOfStrip = 8;  // at most, where one strip is a stream

  RowWords<R> offsets;

  /// @param first row  @param pair of groups that comes first
  Int4Group(const PanelProduct& p, std::size_t first, std::size_t pair)
      : offsets(RowWords<R>::of(p.x + first * p.row_bytes + QuantizedRow::kHeaderBytes + p.depth +
                                    pair * 2 * sizeof(std::int32_t),
                                p.row_bytes)) {}

  __attribute__((always_inline)) void sums(const std::byte* values, std::size_t strip_bytes,
                                           const RowWords<R>& x, Floats (&out)[R][V]) {
    Ints part[R][V];
    MMBATCH_UNROLLED(R, r) {
      const Ints offset = offsets.splat(r, 0);
      MMBATCH_UNROLLED(V, v) {
        part[r][v] = offset;
      });
    });
    offsets.move(sizeof(std::int32_t));
    MMBATCH_UNROLLED(kEights, i) {
      Ints low[V], high[V];
      MMBATCH_UNROLLED(V, v) {
        const Ints both = load_ints(values + v * strip_bytes + i * 64);
        low[v] = both & 0x0f0f0f0f;
        high[v] = (both >> 4) & 0x0f0f0f0f;
      });
      MMBATCH_UNROLLED(R, r) {
        const Ints front = x.splat(r, 8 * i);
        MMBATCH_UNROLLED(V, v) {
          part[r][v] = kept(dot4(part[r][v], low[v], front));
        });
        const Ints back = x.splat(r, 8 * i + 4);
        MMBATCH_UNROLLED(V, v) {
          part[r][v] = kept(dot4(part[r][v], high[v], back));
        });
      });
    });
    MMBATCH_UNROLLED(R, r) {
      MMBATCH_UNROLLED(V, v) {
        out[r][v] = to_floats(part[r][v]);
      });
    });
  }
};

#if defined(__AVX512BF16__)
/// Pairs of nibbles as pairs of bfloat16, 8 taken off: the lowest four bits of each half of a lane.
MMBATCH_INLINE Ints nibble_pairs(Ints halves) {
  // The instruction looks at five bits: both halves of the table are the same.
  alignas(64) static const std::uint16_t table[32] = {
      0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040, 0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000,
      0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040,
      0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0};  // -8 … 7
  return (Ints)_mm512_permutexvar_epi16((__m512i)halves, _mm512_load_si512(table));
}

/// The same from activations in bfloat16.
template <std::size_t R, std::size_t V>
struct W4a16Group {
  static constexpr std::size_t kXBytes = 2;
  static constexpr std::size_t kRowsOfStrip = 4;

  W4a16Group(const PanelProduct&, std::size_t, std::size_t) {}

  __attribute__((always_inline)) void sums(const std::byte* values, std::size_t strip_bytes,
                                           const RowWords<R>& x, Floats (&out)[R][V]) {
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) out[r][v] = Floats{};
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kEights; ++i) {
      Ints halves[V];
      for (std::size_t v = 0; v < V; ++v) halves[v] = load_ints(values + v * strip_bytes + i * 64);
#pragma GCC unroll 4
      for (std::size_t pair = 0; pair < 4; ++pair) {
        Ints weights[V];
        for (std::size_t v = 0; v < V; ++v)
          weights[v] = nibble_pairs(halves[v] >> (4 * static_cast<int>(pair)));
        for (std::size_t r = 0; r < R; ++r) {
          const Ints word = x.splat(r, 16 * i + 4 * pair);
          for (std::size_t v = 0; v < V; ++v) out[r][v] = dot2(out[r][v], weights[v], word);
        }
      }
    }
  }
};
#endif

/// How weights come from memory: as streams that the loop itself asks for, or as blocks that others asked
/// for.
enum class From { streams, blocks };

/// y[R rows] (+)= x · some pairs of groups of V strips.
template <template <std::size_t, std::size_t> class Group, std::size_t V, From from>
struct Strips {
  /// Pairs of groups for which memory is asked ahead, in each of V streams.
  static constexpr std::size_t kPairsAhead = 8 / V;

  const PanelProduct& p;
  const std::byte* x;  // of row 0
  StripsInTurn all;
  std::size_t strip;  // the first of V
  std::size_t first_pair;
  std::size_t pairs;

  template <std::size_t R>
  __attribute__((noinline)) void run(std::size_t first, Fetch fetch) const {
    float* to = p.y + strip * Panel::kStrip + first * Panel::kColumns;
    Floats sums[R][V];
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v)
        sums[r][v] = first_pair == 0 ? Floats{} : load(to + r * Panel::kColumns + v * Panel::kStrip);
    }
    Group<R, V> group(p, first, first_pair);
    auto rows = RowWords<R>::of(
        x + first * p.row_bytes + first_pair * 2 * Panel::kGroup * Group<R, V>::kXBytes, p.row_bytes);
    const std::byte* w = all[strip] + first_pair * Panel::kGroupPair;
    const std::size_t stride = all.strip_bytes;
    [[maybe_unused]] const std::byte* ahead = w + kPairsAhead * Panel::kGroupPair;
    for (std::size_t turn = 0; turn < pairs; ++turn, w += Panel::kGroupPair, ahead += Panel::kGroupPair) {
      if constexpr (from == From::streams) {
        if (turn + kPairsAhead == pairs) ahead = all[strip + V];
      } else {
        for (std::size_t v = 0; v < V; ++v)
          Fetch::turn({fetch.next + v * stride, fetch.lines, fetch.to}, turn);
      }
#pragma GCC unroll 2
      for (std::size_t half = 0; half < 2; ++half) {
        if constexpr (from == From::streams) {
          constexpr std::size_t kLines = Panel::kGroupPair / 64;
          for (std::size_t line = half * (kLines / 2); line < (half == 0 ? kLines / 2 : kLines); ++line) {
            for (std::size_t v = 0; v < V; ++v) __builtin_prefetch(ahead + v * stride + line * 64, 0, 3);
          }
        }
        Floats part[R][V];
        group.sums(w + half * Panel::kGroupValues, stride, rows, part);
        MMBATCH_UNROLLED(V, v) {
          const Floats scale = load_scales(w + v * stride, half);
          MMBATCH_UNROLLED(R, r) {
            sums[r][v] = kept(sums[r][v] + part[r][v] * scale);
          });
        });
        rows.move(Panel::kGroup * Group<R, V>::kXBytes);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < V; ++v) store(to + r * Panel::kColumns + v * Panel::kStrip, sums[r][v]);
    }
  }
};

/// Few rows, V strips at a time, each a stream of memory.
template <template <std::size_t, std::size_t> class Group, std::size_t V, std::size_t most>
void take_streams(const PanelProduct& p, const std::byte* x) {
  const std::size_t pairs = p.depth / (2 * Panel::kGroup);
  const StripsInTurn all(p, pairs * Panel::kGroupPair);
  for (std::size_t s = 0; s < kStrips; s += V) {
    const Strips<Group, V, From::streams> work{p, x, all, s, 0, pairs};
    with_rows<most>(p.rows, [&]<std::size_t R>() { work.template run<R>(0, {}); });
  }
}

/// In parts of the depth, each with all strips, V at a time: so short that groups of rows pass over one in
/// the first-level cache, and the strips are streams of memory side by side.
template <template <std::size_t, std::size_t> class Group, std::size_t V, std::size_t most>
void take_groups(const PanelProduct& p, const std::byte* x) {
  const std::size_t pairs = p.depth / (2 * Panel::kGroup), strip_bytes = pairs * Panel::kGroupPair;
  constexpr std::size_t kPairs = 8;
  const StripsInTurn all(p, strip_bytes);
  for (std::size_t first = 0; first < pairs; first += kPairs) {
    const std::size_t count = kPairs < pairs - first ? kPairs : pairs - first;
    for (std::size_t s = 0; s < kStrips; s += V) {
      const Strips<Group, V, From::blocks> work{p, x, all, s, first, count};
      const std::byte* behind =
          first + count < pairs ? all[s] + (first + count) * Panel::kGroupPair : all[s + kStrips];
      for_row_groups_of_block<most>(p.rows, behind, count * Panel::kGroupPair, count, work);
    }
  }
}

template <template <std::size_t, std::size_t> class Group>
void take_groups(const PanelProduct& p, const std::byte* x) {
  if constexpr (kDotStrips > 1) {
    constexpr std::size_t kRowsOfStrips = 4, kRowsOfStrip = Group<1, 1>::kRowsOfStrip;
    if (reads_as_zen5() && p.rows <= kRowsOfStrip) return take_streams<Group, 1, kRowsOfStrip>(p, x);
    if (p.rows <= kRowsOfStrips) return take_streams<Group, kStrips, kRowsOfStrips>(p, x);
  }
  take_groups<Group, kDotStrips, kRows>(p, x);
}
#endif

/// Sums times the scales of rows.
struct ScaledByRow {
  static constexpr bool kChange = true;

  const PanelProduct& p;

  struct OfRow {
    float scale;
    __attribute__((always_inline)) Floats operator()(const float* sums, std::size_t) const {
      return load(sums) * scale;
    }
  };
  __attribute__((always_inline)) OfRow of(std::size_t row) const {
    QuantizedRow header;
    __builtin_memcpy(&header, p.x + row * p.row_bytes, sizeof(header));
    return {header.scale};
  }
};

}  // namespace

void int4_panel(const PanelProduct& p) {
#if defined(MMBATCH_INT4_BLOCKS)
  take_int4_panel(p);
#else
#if defined(__AMX_INT8__)
  if (p.rows > kRowsWithoutTiles)
    take_amx_int4(p);
  else
#endif
    take_groups<Int4Group>(p, p.x + QuantizedRow::kHeaderBytes);
#endif
  deliver_all(p, ScaledByRow{p});
}

void w4a16_panel(const PanelProduct& p) {
  const SumsAsTheyAre values;
#if defined(__AVX512BF16__)
  take_groups<W4a16Group>(p, p.x);
  deliver_all(p, values);
#else
  take_expanded_panel<HalfBytesAsFloats>(p);
  deliver_all(p, values);
#endif
}

}  // namespace mmbatch::MMBATCH_ISA
