// int8 weights times int8 activations. Sums are integers, so exact in any order.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/panel_loop.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

constexpr std::size_t kInt8Depth = 256;  // 16 KiB of weights

struct Int8Block {
  const std::byte* x;  // of row 0, at the block's depth
  std::size_t row_bytes;
  const std::byte* block;
  std::size_t fours;
  Begin begin;
  float* y;  // holds the integers meanwhile

  template <std::size_t R, Fetch fetch>
  static __attribute__((always_inline)) inline void columns(std::size_t first, std::size_t vector,
                                                            const std::byte* next, const Int8Block& b) {
    Ints sums[R][kDotVectors];
    float* y = b.y + first * Panel::kColumns + vector * kLanes;
    const std::byte* x = b.x + first * b.row_bytes;
    const std::byte* w = b.block + vector * 64;
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < kDotVectors; ++v)
        sums[r][v] = b.begin == Begin::zero ? Ints{} : load_ints(y + r * Panel::kColumns + v * kLanes);
    }
    for (std::size_t i = 0; i < b.fours; ++i) {
      fetch_lines<fetch>(next, i);
      Ints weights[kDotVectors];
      for (std::size_t v = 0; v < kDotVectors; ++v) weights[v] = load_ints(w + (i * kPanelVectors + v) * 64);
      for (std::size_t r = 0; r < R; ++r) {
        const Ints four = splat_ints(x + r * b.row_bytes + i * 4);
        for (std::size_t v = 0; v < kDotVectors; ++v) sums[r][v] = dot4(sums[r][v], weights[v], four);
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < kDotVectors; ++v)
        store_ints(y + r * Panel::kColumns + v * kLanes, sums[r][v]);
    }
  }

  template <std::size_t R, Fetch fetch>
  void run(std::size_t first, const std::byte* next) const {
    columns<R, fetch>(first, 0, next, *this);
    for (std::size_t v = kDotVectors; v < kPanelVectors; v += kDotVectors)
      columns<R, Fetch::none>(first, v, next, *this);
  }
};

}  // namespace

void int8_panel(const PanelProduct& p) {
  for (std::size_t k = 0; k < p.depth; k += kInt8Depth) {
    const std::size_t depth = kInt8Depth < p.depth - k ? kInt8Depth : p.depth - k;
    const std::byte* block = p.panel + k * Panel::kColumns;
    const Int8Block work{p.x + QuantizedRow::kHeaderBytes + k, p.row_bytes, block, depth / 4,
                         k == 0 ? Begin::zero : Begin::stored, p.y};
    for_row_groups(p.rows, block + depth * Panel::kColumns, depth * Panel::kColumns / 4, work);
  }
  const auto* scales = reinterpret_cast<const float*>(p.panel + p.depth * Panel::kColumns);
  for (std::size_t r = 0; r < p.rows; ++r) {
    QuantizedRow row;
    __builtin_memcpy(&row, p.x + r * p.row_bytes, sizeof(row));
    float* y = p.y + r * Panel::kColumns;
    for (std::size_t c = 0; c < Panel::kColumns; c += kLanes) {
      const Ints sum = load_ints(y + c) - 128 * row.sum;  // weights are stored as weight + 128
      store(y + c, __builtin_convertvector(sum, Floats) * (load(scales + c) * row.scale));
    }
  }
}

}  // namespace mmbatch::MMBATCH_ISA
