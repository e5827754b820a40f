#pragma once

// Scales and floors of a unit of a grouped panel (engine/kernels/blocks/grouped_panel.h) as floats.

#include "engine/kernels/blocks/grouped_panel.h"
#include "engine/kernels/simd/blocks/registers.h"

namespace mmbatch::MMBATCH_ISA {

/// As many float16, all finite, as a register has lanes.
MMBATCH_INLINE FloatRegister load_float16_register(const std::byte* p) {
#if defined(__AVX512F__)
  return (FloatRegister)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  return (FloatRegister)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  const IntRegister bits = widened_halves(p);
  const FloatRegister magnitude = (FloatRegister)((bits & 0x7fff) << 13) * 0x1p112f;
  return (FloatRegister)((IntRegister)magnitude | (bits & 0x8000) << 16);
#endif
}

/// What the products of a group are multiplied with, and what is added to them, times the activations' sum.
struct ScaleAndFloor {
  FloatRegister scale, floor;  // floor is not set where there are none
};

// Scales of a unit, for the columns of a register of a strip: `lane` is the first of these. of_group() says
// those of its groups, by their numbers.

/// A float16 or a float32 for every 32 inputs.
template <bool floors>
struct OneLevel {
  static constexpr std::size_t kGroups = 2;

  MMBATCH_INLINE OneLevel of_unit(const std::byte*, std::size_t) { return {}; }
  __attribute__((always_inline)) ScaleAndFloor of_group(const GroupedPanel& g, const std::byte* scales,
                                                        std::size_t lane, std::size_t group) const {
    const std::size_t bytes = g.singles ? 4 : 2, at = group * kLanes + lane;
    ScaleAndFloor of;
    of.scale =
        g.singles ? load_register<FloatRegister>(scales + 4 * at) : load_float16_register(scales + 2 * at);
    if constexpr (floors) {
      const FloatRegister stored = load_float16_register(scales + kGroups * bytes * kLanes + 2 * at);
      of.floor = g.zero_bits != 0 ? -(of.scale * stored) : stored;
    }
    return of;
  }
};

/// Bytes, times a float16 of the unit.
template <bool floors, std::size_t halves>
struct TwoLevels {
  static constexpr std::size_t kGroups = 8 * halves;

  FloatRegister unit_scale, unit_floor;

  MMBATCH_INLINE TwoLevels of_unit(const std::byte* scales, std::size_t lane) {
    TwoLevels of;
    of.unit_scale = load_float16_register(scales + 2 * lane);
    if constexpr (floors) of.unit_floor = -load_float16_register(scales + 2 * (kLanes + lane));
    return of;
  }
  __attribute__((always_inline)) ScaleAndFloor of_group(const GroupedPanel&, const std::byte* scales,
                                                        std::size_t lane, std::size_t group) const {
    const std::byte* at = scales + (floors ? 4 : 2) * kLanes + group * kLanes + lane;
    ScaleAndFloor of;
    of.scale = unit_scale * to_floats(widened_bytes(at));
    if constexpr (floors) of.floor = unit_floor * to_floats(widened_bytes(at + kGroups * kLanes) & 255);
    return of;
  }
};

/// The scales and floors of a unit, [groups][kLanes].
template <class Scales, bool floors>
MMBATCH_INLINE void widen_scales(const GroupedPanel& g, const std::byte* unit, float* scales,
                                 float* minimums) {
  const std::byte* stored = unit + g.unit_code_bytes;
  for (std::size_t lane = 0; lane < kLanes; lane += kRegisterLanes) {
    const Scales of_unit = Scales::of_unit(stored, lane);
    for (std::size_t group = 0; group < Scales::kGroups; ++group) {
      const ScaleAndFloor of = of_unit.of_group(g, stored, lane, group);
      store_register(scales + group * kLanes + lane, of.scale);
      if constexpr (floors) store_register(minimums + group * kLanes + lane, of.floor);
    }
  }
}

}  // namespace mmbatch::MMBATCH_ISA
