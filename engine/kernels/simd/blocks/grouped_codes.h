#pragma once

// Codes of a grouped panel (engine/kernels/blocks/grouped_panel.h) as bytes.

#include "engine/kernels/blocks/grouped_panel.h"
#include "engine/kernels/simd/blocks/registers.h"

namespace mmbatch::MMBATCH_ISA {

/// Byte i becomes table[byte i]; each is below 16.
MMBATCH_INLINE IntRegister looked_up(IntRegister codes, const std::uint8_t* table) {
#if defined(__AVX512BW__)
  const __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return (IntRegister)_mm512_shuffle_epi8(all, (__m512i)codes);
#elif defined(__AVX2__)
  const __m256i all = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return (IntRegister)_mm256_shuffle_epi8(all, (__m256i)codes);
#elif defined(__SSSE3__)
  return (IntRegister)_mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)),
                                       (__m128i)codes);
#else
  std::uint8_t bytes[kRegisterBytes];
  __builtin_memcpy(bytes, &codes, sizeof(bytes));
  for (std::uint8_t& byte : bytes) byte = table[byte];
  return load_register<IntRegister>(bytes);
#endif
}

/// Weights of eight inputs, in two steps of four.
struct TwoSteps {
  IntRegister of[2];
};

// How 32 inputs of a strip lie in memory. two_steps<step>() gives those of inputs 4 · step to 4 · step + 7,
// step even, for the columns of a register, of which `p` is the first.

/// A byte for each.
struct CodesOfBytes {
  static constexpr std::size_t kGroupBytes = 32 * kLanes;
  template <std::size_t step>
  MMBATCH_INLINE TwoSteps two_steps(const GroupedPanel&, const std::byte* p) {
    return {{load_register<IntRegister>(p + step * 4 * kLanes),
             load_register<IntRegister>(p + (step + 1) * 4 * kLanes)}};
  }
};

/// Half bytes.
struct CodesOfHalves {
  static constexpr std::size_t kGroupBytes = 16 * kLanes;
  template <std::size_t step>
  MMBATCH_INLINE TwoSteps two_steps(const GroupedPanel&, const std::byte* p) {
    const auto both = load_register<IntRegister>(p + step / 2 * 4 * kLanes);
    return {{both & 0x0f0f0f0f, (both >> 4) & 0x0f0f0f0f}};
  }
};

/// Half bytes that say which of sixteen values.
struct CodesOfTables : CodesOfHalves {
  template <std::size_t step>
  MMBATCH_INLINE TwoSteps two_steps(const GroupedPanel& g, const std::byte* p) {
    const TwoSteps codes = CodesOfHalves::two_steps<step>(g, p);
    return {{looked_up(codes.of[0], g.values), looked_up(codes.of[1], g.values)}};
  }
};

/// Half bytes, and two more bits behind those of all 32 inputs.
struct CodesOfSixBits {
  static constexpr std::size_t kGroupBytes = 24 * kLanes;
  template <std::size_t step>
  MMBATCH_INLINE TwoSteps two_steps(const GroupedPanel& g, const std::byte* p) {
    TwoSteps codes = CodesOfHalves::two_steps<step>(g, p);
    const auto upper = load_register<IntRegister>(p + CodesOfHalves::kGroupBytes + step / 4 * 4 * kLanes);
    constexpr bool second = step % 4 == 2;
    codes.of[0] = codes.of[0] | ((second ? upper : upper << 4) & 0x30303030);
    codes.of[1] = codes.of[1] | ((second ? upper >> 2 : upper << 2) & 0x30303030);
    return codes;
  }
};

/// 32 inputs of a strip, as bytes.
template <class Codes>
MMBATCH_INLINE void widen_codes(const GroupedPanel& g, const std::byte* from, std::byte* to) {
  constexpr std::size_t kStep = 4 * kLanes;
  MMBATCH_UNROLLED(4, i) {
    for (std::size_t column = 0; column < kStep; column += kRegisterBytes) {
      const TwoSteps codes = Codes::template two_steps<2 * i>(g, from + column);
      store_register(to + 2 * i * kStep + column, codes.of[0]);
      store_register(to + (2 * i + 1) * kStep + column, codes.of[1]);
    }
  });
}

}  // namespace mmbatch::MMBATCH_ISA
