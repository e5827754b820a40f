// int8 weights times int8 activations. Sums are integers, so exact in any order.

#include "engine/kernels/simd/amx/panel.h"
#include "engine/kernels/simd/blocks/int8_block.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

#if !defined(MMBATCH_WIDENED_BYTES) && !defined(MMBATCH_SIGNED_BYTES) && !defined(__AVXVNNI__)
/// Four bytes; y holds integers meanwhile.
struct FoursOfBytes {
  using Sums = Ints;
  static constexpr std::size_t kBytes = 64;
  MMBATCH_INLINE Ints load(const float* y) { return load_ints(y); }
  MMBATCH_INLINE void store(float* y, Ints sums) { store_ints(y, sums); }
  MMBATCH_INLINE Ints weights(const std::byte* block) { return load_ints(block); }
  MMBATCH_INLINE Ints add(Ints sums, Ints weights, Ints x) { return dot4(sums, weights, x); }
};
#endif

#if defined(MMBATCH_SIGNED_BYTES)
constexpr std::int32_t kZero = 0;
#else
constexpr std::int32_t kZero = 128;  // what sums were made with: weights as they are stored, weight + 128
#endif

/// Integers as what they are worth, by the scales of rows and columns.
struct ScaledInts {
  static constexpr bool kChange = true;

  const PanelProduct& p;
  StripScales columns;

  struct OfRow {
    const StripScales& columns;
    QuantizedRow row;
    __attribute__((always_inline)) Floats operator()(const float* sums, std::size_t strip) const {
      const Ints sum = load_ints(sums) - kZero * row.sum;
      return to_floats(sum) * (columns.of[strip] * row.scale);
    }
  };
  __attribute__((always_inline)) OfRow of(std::size_t row) const {
    OfRow of_row{columns, {}};
    __builtin_memcpy(&of_row.row, p.x + row * p.row_bytes, sizeof(of_row.row));
    return of_row;
  }
};

#if defined(__AMX_INT8__)
constexpr std::size_t kFewRows = 4;  // as fast as memory without tiles
#endif

}  // namespace

void int8_panel(const PanelProduct& p) {
  const std::size_t bytes = p.depth * Panel::kStrip, strip_bytes = bytes + Panel::kStrip * sizeof(float);
  const std::byte* x = p.x + QuantizedRow::kHeaderBytes;
  const ScaledInts values{p, StripScales(p.panel + bytes, strip_bytes)};
#if defined(MMBATCH_WIDENED_BYTES)
  take_int8_panel<WidenedBytes>(p, x, strip_bytes);
  deliver_all(p, values);
#elif defined(MMBATCH_SIGNED_BYTES)
  take_int8_panel<SignedBytes>(p, x, strip_bytes);
  deliver_all(p, values);
#elif defined(__AVXVNNI__)
  take_int8_panel<BytesByFour>(p, x, strip_bytes);
  deliver_all(p, values);
#elif defined(__AMX_INT8__)
  if (p.rows <= kFewRows) return take_panel<FoursOfBytes>(p, x, p.depth / 4, strip_bytes, values);
  take_amx_panel<AmxWords::bytes>(p, x, AmxStoredWeights{{p, strip_bytes}, p.depth / (4 * kAmxRows)});
  deliver_all(p, values);
#else
  take_panel<FoursOfBytes>(p, x, p.depth / 4, strip_bytes, values);
#endif
}

}  // namespace mmbatch::MMBATCH_ISA
