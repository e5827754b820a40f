// int4 weights in groups, times int8 activations, and times bfloat16 activations.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/panel_loop.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

constexpr std::size_t kEights = Panel::kGroup / 8;
constexpr std::size_t kRowOfBytes = Panel::kColumns * 4;  // eight inputs of all columns

/// Sixteen of a group's scales.
MMBATCH_INLINE Floats load_scales(const std::byte* group, std::size_t vector) {
  return load_bf16(group + kEights * kRowOfBytes + vector * kLanes * 2);
}

/// y[R rows] (+)= x · group.
struct Int4Group {
  const std::byte* x;     // of row 0, at the group's depth
  const std::byte* sums;  // of row 0: the sum of the group's activations
  std::size_t row_bytes;
  const std::byte* group;
  Begin begin;
  float* y;

  template <std::size_t R, Fetch fetch>
  static __attribute__((always_inline)) inline void columns(std::size_t first, std::size_t vector,
                                                            const std::byte* next, const Int4Group& g) {
    Ints sums[R][kDotVectors];
    const std::byte* x = g.x + first * g.row_bytes;
    for (std::size_t r = 0; r < R; ++r) {
      const Ints offset = splat_ints(g.sums + (first + r) * g.row_bytes) * -8;  // stored as weight + 8
      for (std::size_t v = 0; v < kDotVectors; ++v) sums[r][v] = offset;
    }
    for (std::size_t i = 0; i < kEights; ++i) {
      fetch_lines<fetch>(next, i);
      Ints low[kDotVectors], high[kDotVectors];
      for (std::size_t v = 0; v < kDotVectors; ++v) {
        const Ints both = load_ints(g.group + i * kRowOfBytes + (vector + v) * 64);
        low[v] = both & 0x0f0f0f0f;
        high[v] = (both >> 4) & 0x0f0f0f0f;
      }
      for (std::size_t r = 0; r < R; ++r) {
        const Ints front = splat_ints(x + r * g.row_bytes + i * 8);
        for (std::size_t v = 0; v < kDotVectors; ++v) sums[r][v] = dot4(sums[r][v], low[v], front);
        const Ints back = splat_ints(x + r * g.row_bytes + i * 8 + 4);
        for (std::size_t v = 0; v < kDotVectors; ++v) sums[r][v] = dot4(sums[r][v], high[v], back);
      }
    }
    float* y = g.y + first * Panel::kColumns + vector * kLanes;
    for (std::size_t v = 0; v < kDotVectors; ++v) {
      const Floats scale = load_scales(g.group, vector + v);
      for (std::size_t r = 0; r < R; ++r) {
        float* at = y + r * Panel::kColumns + v * kLanes;
        const Floats sum = __builtin_convertvector(sums[r][v], Floats);
        store(at, g.begin == Begin::zero ? sum * scale : load(at) + sum * scale);
      }
    }
  }

  template <std::size_t R, Fetch fetch>
  void run(std::size_t first, const std::byte* next) const {
    columns<R, fetch>(first, 0, next, *this);
    for (std::size_t v = kDotVectors; v < kPanelVectors; v += kDotVectors)
      columns<R, Fetch::none>(first, v, next, *this);
  }
};

/// Two neighbouring nibbles, in the lowest two bytes of each lane, as a pair of bfloat16, 8 taken off.
MMBATCH_INLINE Ints nibble_pairs(Ints bytes) {
#if defined(__AVX512BW__)
  alignas(64) static const std::uint16_t table[32] = {0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040,
                                                      0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000, 0x4040,
                                                      0x4080, 0x40a0, 0x40c0, 0x40e0};  // -8 … 7
  const Ints index = (bytes & 0xff) | ((bytes & 0xff00) << 8);
  return (Ints)_mm512_permutexvar_epi16((__m512i)index, _mm512_load_si512(table));
#else
  const Ints low = (Ints) __builtin_convertvector((bytes & 0xff) - 8, Floats);
  const Ints high = (Ints) __builtin_convertvector(((bytes >> 8) & 0xff) - 8, Floats);
  return ((low >> 16) & 0xffff) | (high & -65536);
#endif
}

/// A group as [kGroup / 2][kColumns][2] bfloat16, without its scales.
void widen(const std::byte* group, std::byte* to) {
  for (std::size_t i = 0; i < kEights; ++i) {
    for (std::size_t v = 0; v < kPanelVectors; ++v) {
      const Ints both = load_ints(group + i * kRowOfBytes + v * 64);
      const Ints low = both & 0x0f0f0f0f, high = (both >> 4) & 0x0f0f0f0f;
      std::byte* at = to + i * 4 * kRowOfBytes + v * 64;
      store_ints(at, nibble_pairs(low));
      store_ints(at + kRowOfBytes, nibble_pairs(low >> 16));
      store_ints(at + 2 * kRowOfBytes, nibble_pairs(high));
      store_ints(at + 3 * kRowOfBytes, nibble_pairs(high >> 16));
    }
  }
}

}  // namespace

void int4_panel(const PanelProduct& p) {
  const std::byte* values = p.x + QuantizedRow::kHeaderBytes;
  for (std::size_t k = 0; k < p.depth; k += Panel::kGroup) {
    const std::size_t index = k / Panel::kGroup;
    const std::byte* group = p.panel + index * Panel::kGroupBytes;
    // 18 lines to a group; the few steps fetch 16 of them, the machine's own prefetcher the rest.
    const std::byte* next = group + 8 * Panel::kGroupBytes;
    const Int4Group work{values + k,
                         values + p.depth + index * sizeof(std::int32_t),
                         p.row_bytes,
                         group,
                         k == 0 ? Begin::zero : Begin::stored,
                         p.y};
    for_row_groups(p.rows, next, Panel::kGroupBytes / 4, work);
  }
  for (std::size_t r = 0; r < p.rows; ++r) {
    QuantizedRow row;
    __builtin_memcpy(&row, p.x + r * p.row_bytes, sizeof(row));
    float* y = p.y + r * Panel::kColumns;
    for (std::size_t c = 0; c < Panel::kColumns; c += kLanes) store(y + c, load(y + c) * row.scale);
  }
}

void w4a16_panel(const PanelProduct& p) {
  alignas(64) std::byte wide[Panel::kGroup * Panel::kColumns * 2];
  constexpr std::size_t kRows = 32;
  alignas(64) float part[kRows * Panel::kColumns];
  for (std::size_t k = 0; k < p.depth; k += Panel::kGroup) {
    const std::byte* group = p.panel + k / Panel::kGroup * Panel::kGroupBytes;
    widen(group, wide);
    for (std::size_t first = 0; first < p.rows; first += kRows) {
      const std::size_t rows = kRows < p.rows - first ? kRows : p.rows - first;
      const Bf16Block work{
          p.x + first * p.row_bytes + 2 * k, p.row_bytes, wide, Panel::kGroup / 2, Begin::zero, part};
      for_row_groups(rows, group + 8 * Panel::kGroupBytes, Panel::kGroupBytes / 4, work);
      for (std::size_t v = 0; v < kPanelVectors; ++v) {
        const Floats scale = load_scales(group, v);
        for (std::size_t r = 0; r < rows; ++r) {
          float* y = p.y + (first + r) * Panel::kColumns + v * kLanes;
          const Floats scaled = load(part + r * Panel::kColumns + v * kLanes) * scale;
          store(y, k == 0 ? scaled : load(y) + scaled);
        }
      }
    }
  }
}

}  // namespace mmbatch::MMBATCH_ISA
