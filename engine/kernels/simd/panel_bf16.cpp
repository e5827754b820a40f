// bfloat16 weights times bfloat16 activations, and int8 weights, which bfloat16 holds exactly.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/panel_loop.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

constexpr std::size_t kBf16Depth = 512;   // 64 KiB of weights
constexpr std::size_t kW8a16Depth = 128;  // 16 KiB once widened

std::size_t at_most(std::size_t a, std::size_t b) {
  return a < b ? a : b;
}

/// [pairs][kColumns][2] int8 to bfloat16.
void widen(const std::byte* from, std::size_t pairs, std::byte* to) {
  for (std::size_t i = 0; i < pairs * Panel::kColumns * 2; i += kLanes)
    store_bf16(to + 2 * i, load_int8(from + i));
}

}  // namespace

void bf16_panel(const PanelProduct& p) {
  for (std::size_t k = 0; k < p.depth; k += kBf16Depth) {
    const std::size_t depth = at_most(kBf16Depth, p.depth - k);
    const std::byte* block = p.panel + k * Panel::kColumns * 2;
    const std::size_t bytes = depth * Panel::kColumns * 2;
    const Bf16Block work{p.x + 2 * k, p.row_bytes, block, depth / 2, k == 0 ? Begin::zero : Begin::stored,
                         p.y};
    for_row_groups(p.rows, to_fetch(p.rows, block, bytes), bytes / 4, work);
  }
}

void w8a16_panel(const PanelProduct& p) {
  alignas(64) std::byte wide[kW8a16Depth * Panel::kColumns * 2];
  for (std::size_t k = 0; k < p.depth; k += kW8a16Depth) {
    const std::size_t depth = at_most(kW8a16Depth, p.depth - k);
    const std::byte* block = p.panel + k * Panel::kColumns;
    const std::byte* next = block + depth * Panel::kColumns;
    widen(block, depth / 2, wide);
    // The narrow block has half the lines of the wide one: one group of rows fetches twice too many, which
    // the block after next needs anyway.
    const Bf16Block work{p.x + 2 * k, p.row_bytes, wide, depth / 2, k == 0 ? Begin::zero : Begin::stored,
                         p.y};
    for_row_groups(p.rows, next, depth * Panel::kColumns / 4, work);
  }
  const auto* scales = reinterpret_cast<const float*>(p.panel + p.depth * Panel::kColumns);
  for (std::size_t r = 0; r < p.rows; ++r) {
    float* y = p.y + r * Panel::kColumns;
    for (std::size_t c = 0; c < Panel::kColumns; c += kLanes) store(y + c, load(y + c) * load(scales + c));
  }
}

void to_bf16(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bf16(row + 2 * i, load(x + i));
  if (i < n) {
    store_bf16(row + 2 * i, load_some(x + i, n - i));
    i += kLanes;
  }
  for (; i < depth; i += kLanes) store_bf16(row + 2 * i, Floats{});
}

}  // namespace mmbatch::MMBATCH_ISA
