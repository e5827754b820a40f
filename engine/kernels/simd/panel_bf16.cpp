// bfloat16 weights times bfloat16 activations, int8 weights and eight-bit floats, which bfloat16 holds
// exactly; float32.

#include "engine/kernels/simd/amx/e4m3.h"
#include "engine/kernels/simd/amx/panel.h"
#include "engine/kernels/simd/blocks/float_block.h"
#include "engine/kernels/simd/functions.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {
#if defined(__AVX512BF16__)
namespace {

/// Pairs of bfloat16.
struct PairsOfBf16 {
  using Sums = Floats;
  static constexpr std::size_t kBytes = 64;
  MMBATCH_INLINE Floats load(const float* y) { return mmbatch::MMBATCH_ISA::load(y); }
  MMBATCH_INLINE void store(float* y, Floats sums) { mmbatch::MMBATCH_ISA::store(y, sums); }
  MMBATCH_INLINE Ints weights(const std::byte* block) { return load_ints(block); }
  MMBATCH_INLINE Floats add(Floats sums, Ints weights, Ints x) { return dot2(sums, weights, x); }
};

/// Pairs of int8, widened on the way.
struct PairsOfInt8 : PairsOfBf16 {
  using Wide = PairsOfBf16;
  static constexpr std::size_t kBytes = 32;
  MMBATCH_INLINE Ints weights(const std::byte* block) {
    return bf16_pairs(load_int8(block), load_int8(block + kLanes));
  }
};

#if defined(__AMX_BF16__)
/// Tiles of int8, as bfloat16.
struct TilesOfInt8 {
  static constexpr std::size_t kTileBytes = kAmxBytes / 2;
  MMBATCH_INLINE void widen(const std::byte* from, std::byte* to) {
    for (std::size_t row = 0; row < kAmxRows; ++row)
      store_ints(to + row * kAmxRowBytes, PairsOfInt8{}.weights(from + row * PairsOfInt8::kBytes));
  }
};
#endif

}  // namespace
#endif

void f32_panel(const PanelProduct& p) {
  take_float_panel(p);
  deliver_all(p, SumsAsTheyAre());
}

void bf16_panel(const PanelProduct& p) {
  const SumsAsTheyAre values;
#if defined(__AMX_BF16__)
  take_amx_panel<AmxWords::bf16>(
      p, p.x, AmxStoredWeights{{p, p.depth * Panel::kStrip * 2}, p.depth / (2 * kAmxRows)});
  deliver_all(p, values);
#elif defined(__AVX512BF16__)
  take_panel<PairsOfBf16>(p, p.x, p.depth / 2, p.depth * Panel::kStrip * 2, values);
#else
  take_expanded_panel<Bf16AsFloats>(p);
  deliver_all(p, values);
#endif
}

void w8a16_panel(const PanelProduct& p) {
  const std::size_t bytes = p.depth * Panel::kStrip, strip_bytes = bytes + Panel::kStrip * sizeof(float);
  const ScaledSums values{StripScales(p.panel + bytes, strip_bytes)};
#if defined(__AMX_BF16__)
  alignas(64) std::byte wide[kStrips * kAmxSteps * kAmxBytes];
  take_amx_panel<AmxWords::bf16>(
      p, p.x, AmxWidenedWeights<TilesOfInt8>{{p, strip_bytes}, p.depth / (2 * kAmxRows), wide});
  deliver_all(p, values);
#elif defined(__AVX512BF16__)
  take_panel<PairsOfInt8>(p, p.x, p.depth / 2, strip_bytes, values);
#else
  take_expanded_panel<BytesAsFloats>(p);
  deliver_all(p, values);
#endif
}

void e4m3_panel(const PanelProduct& p) {
  const SumsAsTheyAre values;
#if defined(__AMX_BF16__)
  take_amx_e4m3(p);
  deliver_all(p, values);
#elif defined(__AVX512BF16__)
  const std::size_t parts = p.depth / kE4m3Inputs;
  if (p.rows <= 4)
    take_as_stored(p, parts);
  else
    take_widened(p, parts);
  deliver_all(p, values);
#else
  take_expanded_panel<E4m3AsFloats>(p);
  deliver_all(p, values);
#endif
}

void to_bf16(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  const auto put = [row](std::size_t i, Floats v) {
    if constexpr (kBf16Bytes == 2)
      store_bf16(row + 2 * i, v);
    else
      store_ints(row + 4 * i, round_to_bf16(v) << 16);
  };
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) put(i, load(x + i));
  if (i < n) {
    put(i, load_some(x + i, n - i));
    i += kLanes;
  }
  for (; i < depth; i += kLanes) put(i, Floats{});
}

void to_f32(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  __builtin_memcpy(row, x, n * sizeof(float));
  __builtin_memset(row + n * sizeof(float), 0, (depth - n) * sizeof(float));
}

}  // namespace mmbatch::MMBATCH_ISA
