// int8 weights times int8 activations. Sums are integers, so exact in any order.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/panel_loop.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// 128 KiB of weights: few stores of sums, and within the second-level cache.
constexpr std::size_t kInt8Depth = 2048;

}  // namespace

void int8_panel(const PanelProduct& p) {
  for (std::size_t k = 0; k < p.depth; k += kInt8Depth) {
    const std::size_t depth = kInt8Depth < p.depth - k ? kInt8Depth : p.depth - k;
    const std::byte* block = p.panel + k * Panel::kColumns;
    const Int8Block work{p.x + QuantizedRow::kHeaderBytes + k, p.row_bytes, block, depth / 4,
                         k == 0 ? Begin::zero : Begin::stored, p.y};
    const std::size_t bytes = depth * Panel::kColumns;
    for_row_groups(p.rows, to_fetch(p.rows, block, bytes), bytes / 4, work);
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
