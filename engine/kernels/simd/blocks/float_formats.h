#pragma once

// Weights of the narrow formats as floats, a register of a strip's columns at a time. A format takes kStep
// inputs, kStepBytes of a strip, together: load(part, step, c) has those of the strip's c-th register in a
// part of kPart inputs, and weight<i>() is the i-th of them.

#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

constexpr std::size_t kPart = Panel::kDepthStep;
static_assert(kPart == 2 * Panel::kGroup);

struct Bf16AsFloats {
  static constexpr std::size_t kStep = 2, kStepBytes = 64, kPartBytes = kPart / kStep * kStepBytes;
  static constexpr std::size_t strip_bytes(std::size_t depth) { return depth * Panel::kStrip * 2; }

  IntRegister both;

  MMBATCH_INLINE Bf16AsFloats load(const std::byte* part, std::size_t step, std::size_t c) {
    return {load_register<IntRegister>(part + step * kStepBytes + c * kRegisterBytes)};
  }
  template <std::size_t i>
  __attribute__((always_inline)) FloatRegister weight() const {
    return (FloatRegister)(i == 0 ? both << 16 : both & -65536);
  }
};

/// Without their scales.
struct BytesAsFloats {
  static constexpr std::size_t kStep = 2, kStepBytes = 32, kPartBytes = kPart / kStep * kStepBytes;
  static constexpr std::size_t strip_bytes(std::size_t depth) {
    return depth * Panel::kStrip + Panel::kStrip * sizeof(float);
  }

  IntRegister both;

  MMBATCH_INLINE BytesAsFloats load(const std::byte* part, std::size_t step, std::size_t c) {
    return {load_byte_pairs(part + step * kStepBytes + c * kRegisterBytes / 2)};
  }
  template <std::size_t i>
  __attribute__((always_inline)) FloatRegister weight() const {
    return to_floats(i == 0 ? (both << 24) >> 24 : both >> 8);
  }
};

/// With their scales: a product of four and eight bits is exact.
struct HalfBytesAsFloats {
  static constexpr std::size_t kStep = 8, kStepBytes = 64, kPartBytes = Panel::kGroupPair;
  static constexpr std::size_t strip_bytes(std::size_t depth) { return depth / kPart * kPartBytes; }

  IntRegister word;
  FloatRegister scale;

  MMBATCH_INLINE HalfBytesAsFloats load(const std::byte* part, std::size_t step, std::size_t c) {
    const std::byte* scales = part + 2 * Panel::kGroupValues + step / 4 * Panel::kStrip * 2;
    return {load_register<IntRegister>(part + step * kStepBytes + c * kRegisterBytes),
            load_bf16_register(scales + c * kRegisterLanes * 2)};
  }
  template <std::size_t i>
  __attribute__((always_inline)) FloatRegister weight() const {
    constexpr int shift = 4 * (i / 2) + 16 * (i % 2);
#if defined(__AVX512F__)
    // The instruction looks at the lowest four bits.
    alignas(64) static constexpr float table[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
    return (FloatRegister)_mm512_permutexvar_ps((__m512i)(word >> shift), _mm512_load_ps(table)) * scale;
#else
    return to_floats(((word >> shift) & 15) - 8) * scale;
#endif
  }
};

/// Eight-bit floats (e4m3) with their scales: bits of a float are those of a smaller one, 2¹²⁰ times too
/// small.
struct E4m3AsFloats {
  static constexpr std::size_t kStep = 4, kStepBytes = 64, kPartBytes = Panel::e4m3_bytes(kPart);
  static constexpr std::size_t strip_bytes(std::size_t depth) { return Panel::e4m3_bytes(depth); }

  IntRegister word;
  FloatRegister scale;

  MMBATCH_INLINE E4m3AsFloats load(const std::byte* part, std::size_t step, std::size_t c) {
    return {load_register<IntRegister>(part + step * kStepBytes + c * kRegisterBytes),
            load_register<FloatRegister>(part + kPart * Panel::kStrip + c * kRegisterBytes)};
  }
  template <std::size_t i>
  __attribute__((always_inline)) FloatRegister weight() const {
    constexpr int left = 24 - 8 * static_cast<int>(i);  // to where a float has its sign; four less, the rest
    const IntRegister rest = left == 0 ? word >> 4 : word << (left == 0 ? 0 : left - 4);
    const FloatRegister small = (FloatRegister)((rest & 0x07f00000) | (word << left & (1 << 31)));
    return small * 0x1p120f * scale;
  }
};

/// A strip's part as floats [kPart][Panel::kStrip].
template <class Format>
MMBATCH_INLINE void expand(const std::byte* part, float* to) {
  for (std::size_t step = 0; step < kPart / Format::kStep; ++step, to += Format::kStep * Panel::kStrip) {
    MMBATCH_UNROLLED(kStripRegisters, c) {
      const Format some = Format::load(part, step, c);
      MMBATCH_UNROLLED(Format::kStep, i) {
        store_register(to + i * Panel::kStrip + c * kRegisterLanes, some.template weight<i>());
      });
    });
  }
}

}  // namespace mmbatch::MMBATCH_ISA
