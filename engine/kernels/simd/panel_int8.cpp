// int8 weights times int8 activations. Sums are integers, so exact in any order.

#include "engine/kernels/simd/amx/panel.h"
#include "engine/kernels/simd/blocks/int8_block.h"
#include "engine/kernels/simd/functions.h"

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

#if defined(__AMX_INT8__)
constexpr std::size_t kFewRows = 4;  // as fast as memory without tiles
#endif

}  // namespace

void int8_panel(const PanelProduct& p) {
  const std::size_t values = p.depth * Panel::kStrip, strip_bytes = values + Panel::kStrip * sizeof(float);
  const std::byte* x = p.x + QuantizedRow::kHeaderBytes;
#if defined(MMBATCH_WIDENED_BYTES)
  take_int8_panel<WidenedBytes>(p, x, strip_bytes);
#elif defined(__AVXVNNI__)
  take_int8_panel<BytesByFour>(p, x, strip_bytes);
#elif defined(__AMX_INT8__)
  if (p.rows > kFewRows)
    take_amx_panel<AmxWords::bytes>(p, x, AmxStoredWeights{{p, strip_bytes}, p.depth / (4 * kAmxRows)});
  else
    take_panel<FoursOfBytes>(p, x, p.depth / 4, strip_bytes);
#else
  take_panel<FoursOfBytes>(p, x, p.depth / 4, strip_bytes);
#endif
  const StripScales scales(p.panel + values, strip_bytes);
  for (std::size_t r = 0; r < p.rows; ++r) {
    QuantizedRow row;
    __builtin_memcpy(&row, p.x + r * p.row_bytes, sizeof(row));
    float* y = p.y + r * Panel::kColumns;
    for (std::size_t s = 0; s < kStrips; ++s, y += kLanes) {
      const Ints sum = load_ints(y) - 128 * row.sum;  // weights are stored as weight + 128
      store(y, to_floats(sum) * (scales.of[s] * row.scale));
    }
  }
}

}  // namespace mmbatch::MMBATCH_ISA
