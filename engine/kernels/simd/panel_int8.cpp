// int8 weights times int8 activations. Sums are integers, so exact in any order.

#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// Four bytes; y holds integers meanwhile.
struct FoursOfBytes {
  using Sums = Ints;
  static constexpr std::size_t kBytes = 64;
  MMBATCH_INLINE Ints load(const float* y) { return load_ints(y); }
  MMBATCH_INLINE void store(float* y, Ints sums) { store_ints(y, sums); }
  MMBATCH_INLINE Ints weights(const std::byte* block) { return load_ints(block); }
  MMBATCH_INLINE Ints add(Ints sums, Ints weights, Ints x) { return dot4(sums, weights, x); }
};

/// Integer sums of a strip become floats.
void scale_sums(const PanelProduct& p, const float* scales, float* y) {
  const Floats of_weights = load(scales);
  for (std::size_t r = 0; r < p.rows; ++r, y += Panel::kColumns) {
    QuantizedRow row;
    __builtin_memcpy(&row, p.x + r * p.row_bytes, sizeof(row));
    const Ints sum = load_ints(y) - 128 * row.sum;  // weights are stored as weight + 128
    store(y, __builtin_convertvector(sum, Floats) * (of_weights * row.scale));
  }
}

}  // namespace

void int8_panel(const PanelProduct& p) {
  const std::byte* strip = p.panel;
  for (std::size_t column = 0; column < Panel::kColumns; column += Panel::kStrip) {
    float* y = p.y + column;
    strip = take_strip<FoursOfBytes>(p, p.x + QuantizedRow::kHeaderBytes, p.depth / 4, strip, y);
    scale_sums(p, reinterpret_cast<const float*>(strip), y);
    strip += Panel::kStrip * sizeof(float);
  }
}

}  // namespace mmbatch::MMBATCH_ISA
