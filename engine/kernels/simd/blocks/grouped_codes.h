#pragma once

// Units of a grouped panel (engine/kernels/blocks/grouped_panel.h) as bytes and floats, which rows pass over
// in the first-level cache.

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

/// Sixteen float16, finite.
MMBATCH_INLINE Floats load_float16(const std::byte* p) {
#if defined(__AVX512F__)
  return (Floats)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  alignas(64) float lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; i += kRegisterLanes)
    _mm256_store_ps(lanes + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 2 * i))));
  return load(lanes);
#else
  const Ints bits = load_halves(p);
  const Floats magnitude = (Floats)((bits & 0x7fff) << 13) * splat(0x1p112f);
  return (Floats)((Ints)magnitude | (bits & 0x8000) << 16);
#endif
}

/// Sixteen bytes as floats.
template <bool with_sign>
MMBATCH_INLINE Floats load_bytes(const std::byte* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (Floats)_mm512_cvtepi32_ps(with_sign ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes));
#else
  alignas(64) float lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; i += kRegisterLanes) {
#if defined(__AVX2__)
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i));
    _mm256_store_ps(
        lanes + i, _mm256_cvtepi32_ps(with_sign ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes)));
#elif defined(__SSE4_1__)
    std::int32_t four;
    __builtin_memcpy(&four, p + i, sizeof(four));
    const __m128i bytes = _mm_cvtsi32_si128(four);
    _mm_store_ps(lanes + i, _mm_cvtepi32_ps(with_sign ? _mm_cvtepi8_epi32(bytes) : _mm_cvtepu8_epi32(bytes)));
#else
    for (std::size_t l = i; l < i + kRegisterLanes; ++l)
      lanes[l] = with_sign ? static_cast<float>(static_cast<std::int8_t>(p[l]))
                           : static_cast<float>(static_cast<std::uint8_t>(p[l]));
#endif
  }
  return load(lanes);
#endif
}

/// The scales and floors of a unit, [groups][kLanes].
template <std::size_t halves, bool floors>
MMBATCH_INLINE void widen_scales(const GroupedPanel& g, const std::byte* unit, float* scales,
                                 float* minimums) {
  const std::byte* at = unit + g.unit_code_bytes;
  if (!g.two_levels) {
    const std::size_t bytes = g.singles ? 4 : 2;  // of a scale
    for (std::size_t i = 0; i < 2; ++i) {
      const std::byte* from = at + i * bytes * kLanes;
      const Floats scale = g.singles ? load(reinterpret_cast<const float*>(from)) : load_float16(from);
      store(scales + i * kLanes, scale);
      if constexpr (floors) {
        const Floats floor = load_float16(at + (2 * bytes + i * 2) * kLanes);
        store(minimums + i * kLanes, g.zero_bits != 0 ? -(scale * floor) : floor);
      }
    }
    return;
  }
  constexpr std::size_t kGroups = 8 * halves;
  const Floats unit_scale = load_float16(at);
  at += 2 * kLanes;
  Floats unit_floor{};
  if constexpr (floors) {
    unit_floor = -load_float16(at);
    at += 2 * kLanes;
  }
  for (std::size_t i = 0; i < kGroups; ++i) {
    store(scales + i * kLanes, unit_scale * load_bytes<true>(at + i * kLanes));
    if constexpr (floors)
      store(minimums + i * kLanes, unit_floor * load_bytes<false>(at + (kGroups + i) * kLanes));
  }
}

}  // namespace mmbatch::MMBATCH_ISA
