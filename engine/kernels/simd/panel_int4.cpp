// int4 weights in groups, times int8 activations, and times bfloat16 activations.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

constexpr std::size_t kEights = Panel::kGroup / 8;
/// Rows at a time: each has a sum of its group, and one of all groups so far.
constexpr std::size_t kRows = kDotRows * 3 / 4;

/// The scales of one of the two groups of a pair.
MMBATCH_INLINE Floats load_scales(const std::byte* pair, std::size_t group) {
  return load_bf16(pair + 2 * Panel::kGroupValues + group * Panel::kStrip * 2);
}

/// What a group adds to its rows' sums before scaling, from activations in int8.
template <std::size_t R>
struct Int4Group {
  static constexpr std::size_t kXBytes = 1;  // of an activation

  RowWords<R> offsets;

  Int4Group(const PanelProduct& p, std::size_t first)
      : offsets(
            RowWords<R>::of(p.x + first * p.row_bytes + QuantizedRow::kHeaderBytes + p.depth, p.row_bytes)) {}

  __attribute__((always_inline)) void sums(const std::byte* values, const RowWords<R>& x, Floats (&out)[R]) {
    Ints part[R];
    for (std::size_t r = 0; r < R; ++r) part[r] = offsets.splat(r, 0);
    offsets.move(sizeof(std::int32_t));
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kEights; ++i) {
      const Ints both = load_ints(values + i * 64);
      const Ints low = both & 0x0f0f0f0f, high = (both >> 4) & 0x0f0f0f0f;
      for (std::size_t r = 0; r < R; ++r) part[r] = dot4(part[r], low, x.splat(r, 8 * i));
      for (std::size_t r = 0; r < R; ++r) part[r] = dot4(part[r], high, x.splat(r, 8 * i + 4));
    }
    for (std::size_t r = 0; r < R; ++r) out[r] = __builtin_convertvector(part[r], Floats);
  }
};

/// Pairs of nibbles as pairs of bfloat16, 8 taken off: the lowest four bits of each half of a lane.
MMBATCH_INLINE Ints nibble_pairs(Ints halves) {
#if defined(__AVX512BW__)
  // The instruction looks at five bits: both halves of the table are the same.
  alignas(64) static const std::uint16_t table[32] = {
      0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040, 0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000,
      0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040,
      0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0};  // -8 … 7
  return (Ints)_mm512_permutexvar_epi16((__m512i)halves, _mm512_load_si512(table));
#else
  const Ints low = (Ints) __builtin_convertvector((halves & 15) - 8, Floats);
  const Ints high = (Ints) __builtin_convertvector(((halves >> 16) & 15) - 8, Floats);
  return ((low >> 16) & 0xffff) | (high & -65536);
#endif
}

/// The same from activations in bfloat16.
template <std::size_t R>
struct W4a16Group {
  static constexpr std::size_t kXBytes = 2;

  W4a16Group(const PanelProduct&, std::size_t) {}

  __attribute__((always_inline)) void sums(const std::byte* values, const RowWords<R>& x, Floats (&out)[R]) {
    for (Floats& sum : out) sum = Floats{};
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kEights; ++i) {
      Ints halves = load_ints(values + i * 64);
#pragma GCC unroll 4
      for (std::size_t pair = 0; pair < 4; ++pair, halves = halves >> 4) {
        const Ints weights = nibble_pairs(halves);
        for (std::size_t r = 0; r < R; ++r) out[r] = dot2(out[r], weights, x.splat(r, 16 * i + 4 * pair));
      }
    }
  }
};

/// y[R rows] = x · strip.
template <template <std::size_t> class Group>
struct Strip {
  const PanelProduct& p;
  const std::byte* x;  // of row 0
  const std::byte* strip;
  float* y;

  template <std::size_t R>
  __attribute__((noinline)) void run(std::size_t first, Fetch fetch) const {
    Floats sums[R] = {};
    Group<R> group(p, first);
    auto rows = RowWords<R>::of(x + first * p.row_bytes, p.row_bytes);
    const std::byte* w = strip;
    const std::size_t turns = p.depth / (2 * Panel::kGroup);
    for (std::size_t turn = 0; turn < turns; ++turn, w += Panel::kGroupPair) {
      Fetch::turn(fetch, turn);
#pragma GCC unroll 2
      for (std::size_t half = 0; half < 2; ++half) {
        Floats part[R];
        group.sums(w + half * Panel::kGroupValues, rows, part);
        const Floats scale = load_scales(w, half);
        for (std::size_t r = 0; r < R; ++r) sums[r] = sums[r] + part[r] * scale;
        rows.move(Panel::kGroup * Group<R>::kXBytes);
      }
    }
    for (std::size_t r = 0; r < R; ++r) store(y + (first + r) * Panel::kColumns, sums[r]);
  }
};

template <template <std::size_t> class Group>
void take_groups(const PanelProduct& p, const std::byte* x) {
  const std::size_t pairs = p.depth / (2 * Panel::kGroup), bytes = pairs * Panel::kGroupPair;
  const std::byte* strip = p.panel;
  for (std::size_t column = 0; column < Panel::kColumns; column += Panel::kStrip, strip += bytes)
    for_row_groups<kRows>(p.rows, strip, strip + bytes, bytes, pairs,
                          Strip<Group>{p, x, strip, p.y + column});
}

}  // namespace

void int4_panel(const PanelProduct& p) {
  take_groups<Int4Group>(p, p.x + QuantizedRow::kHeaderBytes);
  for (std::size_t r = 0; r < p.rows; ++r) {
    QuantizedRow row;
    __builtin_memcpy(&row, p.x + r * p.row_bytes, sizeof(row));
    float* y = p.y + r * Panel::kColumns;
    for (std::size_t c = 0; c < Panel::kColumns; c += kLanes) store(y + c, load(y + c) * row.scale);
  }
}

void w4a16_panel(const PanelProduct& p) {
  take_groups<W4a16Group>(p, p.x);
}

}  // namespace mmbatch::MMBATCH_ISA
