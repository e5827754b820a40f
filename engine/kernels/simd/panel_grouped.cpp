// Weights as small numbers in groups, each with its scale, times int8 activations in groups. No product is
// joined with a sum here (-ffp-contract=off): not every level can, and all of them make the same bytes.

#include "engine/kernels/simd/amx/grouped.h"
#include "engine/kernels/simd/blocks/grouped_block.h"
#include "engine/kernels/simd/blocks/grouped_few.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Inputs of a strip that are widened at a time: with rows' own they stay in the first-level cache.
constexpr std::size_t kBlockInputs = 512;
constexpr std::size_t kFewRows = 4;

/// What the products of a panel are.
template <bool wide_, std::size_t halves_, bool floors_>
struct Kind {
  static constexpr bool wide = wide_ && !kAnyBytes;  // see GroupedBytes
  static constexpr std::size_t halves = halves_;     // scales of 32 inputs
  static constexpr bool floors = floors_;
  static constexpr bool zero = wide_ || !floors_;  // is taken off each code
};

/// Scales of a block's units as floats, for V strips of `inputs`.
template <class Kind, std::size_t V, std::size_t inputs>
struct BlockScales {
  static constexpr std::size_t kScales = inputs / 32 * Kind::halves * kLanes;
  alignas(64) float scales[V][kScales];
  alignas(64) float floors[Kind::floors ? V : 1][kScales];

  __attribute__((always_inline)) void widen(const GroupedPanel& g, const std::byte* unit, std::size_t v,
                                            std::size_t index) {
    const std::size_t at = index * g.unit_inputs / 32 * Kind::halves * kLanes;
    float *const of = scales[v] + at, *const minimums = floors[Kind::floors ? v : 0] + at;
    if (Kind::halves == 2 || g.two_levels)
      widen_scales<TwoLevels<Kind::floors, Kind::halves>, Kind::floors>(g, unit, of, minimums);
    else
      widen_scales<OneLevel<Kind::floors>, Kind::floors>(g, unit, of, minimums);
  }
};

MMBATCH_INLINE void widen_unit(const GroupedPanel& g, const std::byte* unit, std::byte* to) {
  const auto all = [&]<class Codes>(Codes) __attribute__((always_inline)) {
    for (std::size_t i = 0; i < g.unit_inputs / 32; ++i)
      widen_codes<Codes>(g, unit + i * Codes::kGroupBytes, to + i * CodesOfBytes::kGroupBytes);
  };
  if (g.bits == 6)
    all(CodesOfSixBits());
  else if (g.values != nullptr)
    all(CodesOfTables());
  else
    all(CodesOfHalves());
}

/// Many rows: codes become bytes once, for all of them; those of V strips, `inputs` at a time.
template <class Kind, std::size_t V, std::size_t inputs, std::size_t most>
__attribute__((noinline)) void take_widened(const PanelProduct& p, const GroupedPanel& g, std::size_t units) {
  constexpr std::size_t kBlockBytes = inputs / 32 * CodesOfBytes::kGroupBytes;
  alignas(64) std::byte codes[V][kBlockBytes];
  BlockScales<Kind, V, inputs> widened;
  const std::size_t strip_bytes = units * g.unit_bytes;
  const std::size_t most_units = inputs / g.unit_inputs, unit_groups = g.unit_inputs / 32;
  const std::size_t wide_bytes = unit_groups * CodesOfBytes::kGroupBytes;
  const bool as_stored = g.bits == 8;
  const StripsInTurn strips(p, strip_bytes);
  for (std::size_t s = 0; s < kStrips; s += V) {
    for (std::size_t first = 0; first < units; first += most_units) {
      const std::size_t count = most_units < units - first ? most_units : units - first;
      const std::byte* block = strips[s] + first * g.unit_bytes;
      for (std::size_t v = 0; v < V; ++v) {
        for (std::size_t i = 0; i < count; ++i) {
          const std::byte* unit = block + v * strip_bytes + i * g.unit_bytes;
          if (!as_stored) widen_unit(g, unit, codes[v] + i * wide_bytes);
          widened.widen(g, unit, v, i);
        }
      }
      const std::size_t strip_step = as_stored ? strip_bytes : kBlockBytes;
      const GroupedBlock<Kind, V> work{
          p,
          g,
          {as_stored ? block : codes[0], count, unit_groups, as_stored ? g.unit_bytes : wide_bytes,
           V == 1 ? kRegisterBytes : strip_step, widened.scales[0], widened.floors[0],
           V == 1 ? kRegisterLanes : BlockScales<Kind, V, inputs>::kScales},
          first * unit_groups,
          strip_bytes,
          first == 0 ? Begin::zero : Begin::stored,
          p.y + s * Panel::kStrip};
      const std::byte* behind = first + count < units ? block + count * g.unit_bytes : strips[s + V];
      for_row_groups_of_block<most>(p.rows, behind, count * g.unit_bytes, count * unit_groups, work);
    }
  }
}

#if defined(__AMX_INT8__)
/// Codes as bytes with a sign: `zero` is taken off each.
MMBATCH_INLINE void take_off(const std::byte* from, std::size_t bytes, std::uint8_t zero, std::byte* to) {
  const __m512i each = _mm512_set1_epi8(static_cast<char>(zero));
  for (std::size_t i = 0; i < bytes; i += 64)
    _mm512_store_si512(to + i, _mm512_sub_epi8(_mm512_loadu_si512(from + i), each));
}

/// Many rows, whose scales are of 32 inputs, with AMX.
template <class Kind>
__attribute__((noinline)) void take_tiles(const PanelProduct& p, const GroupedPanel& g, std::size_t units) {
  alignas(64) std::byte codes[kBlockInputs / 32 * CodesOfBytes::kGroupBytes];
  BlockScales<Kind, 1, kBlockInputs> widened;
  const AmxShapes shapes = amx_group_shapes();
  const std::size_t strip_bytes = units * g.unit_bytes, unit_groups = g.unit_inputs / 32;
  const std::size_t most_units = kBlockInputs / g.unit_inputs;
  const std::size_t wide_bytes = unit_groups * CodesOfBytes::kGroupBytes;
  const StripsInTurn strips(p, strip_bytes);
  const auto zero = static_cast<std::uint8_t>(Kind::zero ? 1u << g.zero_bits : 0);
  const std::size_t left = p.rows % kAmxRows, whole = p.rows - left;
  AmxFewRows<kBlockInputs> few(left);
  for (std::size_t s = 0; s < kStrips; ++s) {
    for (std::size_t first = 0; first < units; first += most_units) {
      const std::size_t count = most_units < units - first ? most_units : units - first;
      for (std::size_t i = 0; i < count; ++i) {
        const std::byte* unit = strips[s] + (first + i) * g.unit_bytes;
        std::byte* to = codes + i * wide_bytes;
        if (g.bits != 8) widen_unit(g, unit, to);
        take_off(g.bits == 8 ? unit : to, wide_bytes, zero, to);
        widened.widen(g, unit, 0, i);
      }
      AmxShapes::written();
      const std::byte* x = p.x + first * g.unit_inputs;
      AmxGroupedBlock work{x,
                           p.x + p.depth + first * unit_groups * AmxGroupedBlock::kSide,
                           p.row_bytes,
                           codes,
                           widened.scales[0],
                           widened.floors[0],
                           count * unit_groups,
                           first == 0 ? Begin::zero : Begin::stored,
                           p.y + s * Panel::kStrip};
      const std::byte* behind =
          first + count < units ? strips[s] + (first + count) * g.unit_bytes : strips[s + 1];
      SharedFetch fetch(behind, count * g.unit_bytes, work.groups, p.rows,
                        (p.rows + kAmxRows - 1) / kAmxRows);
      for (std::size_t row = 0; row < whole; row += kAmxRows) {
        work.template run<Kind::floors>(fetch.next());
        work.x += kAmxRows * p.row_bytes;
        work.sides += kAmxRows * p.row_bytes;
        work.y += kAmxRows * Panel::kColumns;
      }
      if (left > 0) few.template run<Kind::floors>(work, left, fetch.next());
    }
  }
}
#endif

/// Few rows: each code is looked at once, where it lies.
template <class Codes, class Scales, class Kind>
void take_as_stored(const PanelProduct& p, const GroupedPanel& g, std::size_t units) {
  const FewGroupedRows<Codes, Scales, Kind> work{p, g, units};
  with_rows<kFewRows>(p.rows, [&]<std::size_t R>() { work.template run<R>(); });
}

template <class Codes, class Kind>
void take(const PanelProduct& p, const GroupedPanel& g, std::size_t units) {
  if (p.rows <= kFewRows) {
    if constexpr (Codes::kGroupBytes < CodesOfBytes::kGroupBytes) {
      if (Kind::halves == 2 || g.two_levels)
        return take_as_stored<Codes, TwoLevels<Kind::floors, Kind::halves>, Kind>(p, g, units);
    }
    if constexpr (Kind::halves == 1) return take_as_stored<Codes, OneLevel<Kind::floors>, Kind>(p, g, units);
  }
#if defined(__AMX_INT8__)
  if constexpr (Kind::halves == 1) {
    if (p.rows > kRowsWithoutTiles) return take_tiles<Kind>(p, g, units);
  }
#endif
#if defined(__AVX512F__)
  take_widened<Kind, kStrips, kBlockInputs / 2, 6>(p, g, units);
#else
  take_widened<Kind, 1, kBlockInputs, 4>(p, g, units);
#endif
}

/// By the panel's kind.
void take(const PanelProduct& p, const GroupedPanel& g, std::size_t units) {
  const bool six = g.bits == 6;
  if (g.floors && g.bits == 8) return take<CodesOfBytes, Kind<true, 1, true>>(p, g, units);
  if (g.floors && g.group == 16) return take<CodesOfHalves, Kind<false, 2, true>>(p, g, units);
  if (g.floors && six) return take<CodesOfSixBits, Kind<false, 1, true>>(p, g, units);
  if (g.floors) return take<CodesOfHalves, Kind<false, 1, true>>(p, g, units);
  if (g.group == 16 && six) return take<CodesOfSixBits, Kind<false, 2, false>>(p, g, units);
  if (g.group == 16) return take<CodesOfHalves, Kind<false, 2, false>>(p, g, units);
  if (g.bits == 8) return take<CodesOfBytes, Kind<true, 1, false>>(p, g, units);
  if (g.values != nullptr) return take<CodesOfTables, Kind<true, 1, false>>(p, g, units);
  if (six) return take<CodesOfSixBits, Kind<false, 1, false>>(p, g, units);
  take<CodesOfHalves, Kind<false, 1, false>>(p, g, units);
}

}  // namespace

void grouped_panel(const PanelProduct& p, const GroupedPanel& g, std::size_t units) {
  take(p, g, units);
  deliver_all(p, SumsAsTheyAre());
}

}  // namespace mmbatch::MMBATCH_ISA
