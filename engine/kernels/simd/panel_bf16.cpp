// bfloat16 weights times bfloat16 activations, and int8 weights, which bfloat16 holds exactly.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Pairs of int8, widened on the way.
struct PairsOfInt8 : PairsOfBf16 {
  static constexpr std::size_t kBytes = 32;
  MMBATCH_INLINE Ints weights(const std::byte* block) {
    return bf16_pairs(load_int8(block), load_int8(block + kLanes));
  }
};

}  // namespace

void bf16_panel(const PanelProduct& p) {
  take_panel<PairsOfBf16>(p, p.x, p.depth / 2, p.depth * Panel::kStrip * 2);
}

void w8a16_panel(const PanelProduct& p) {
  const std::size_t values = p.depth * Panel::kStrip, strip_bytes = values + Panel::kStrip * sizeof(float);
  take_panel<PairsOfInt8>(p, p.x, p.depth / 2, strip_bytes);
  const StripScales scales(p.panel + values, strip_bytes);
  float* y = p.y;
  for (std::size_t r = 0; r < p.rows; ++r) {
    for (std::size_t s = 0; s < kStrips; ++s, y += kLanes) store(y, load(y) * scales.of[s]);
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
