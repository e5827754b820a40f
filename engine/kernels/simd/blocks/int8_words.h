#pragma once

// How int8 products are made where no instruction adds four of them to a 32-bit sum in 64 bytes at once: what
// a register of a strip's weights is, and how a step of four inputs is added to a register of sums. All give
// the same integers. Each has Weights, weights(p), splat(x), add(sum, weights, x) and put(sums, begin, y);
// where weights are made ready for many rows, Ready, the words of what they become, and make_ready().

#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/strip.h"

namespace mmbatch::MMBATCH_ISA {

#if defined(MMBATCH_SIGNED_BYTES) || defined(__AVXVNNI__)
/// A register of sums is as many columns; rows hold int8.
struct SumOfColumn {
  static constexpr std::size_t kColumns = kRegisterLanes;
  static constexpr std::size_t kXBytes = 4;  // of a row in a step

  MMBATCH_INLINE IntRegister splat(const std::byte* x) { return splat_four_bytes(x); }
  template <std::size_t C>
  MMBATCH_INLINE void put(const IntRegister (&sums)[C], Begin begin, float* y) {
    MMBATCH_UNROLLED(C, c) {
      float* to = y + c * kColumns;
      store_register(to, begin == Begin::stored ? sums[c] + load_register<IntRegister>(to) : sums[c]);
    });
  }
};
#endif

#if defined(MMBATCH_WIDENED_BYTES)
/// Weights and activations widened to sixteen bits. Rows hold int16, a register of sums a column by two.
struct WidenedBytes {
  using Weights = IntRegister;
  static constexpr std::size_t kColumns = kRegisterLanes / 2;
  static constexpr std::size_t kWeightBytes = kRegisterBytes / 2;
  static constexpr std::size_t kXBytes = 8;
  static constexpr std::size_t kWeightRegisters = 1;  // of a register of sums

  MMBATCH_INLINE Weights weights(const std::byte* p) {
#if defined(__AVX512BW__)
    return (IntRegister)_mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#else
    return (IntRegister)_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#endif
  }
  MMBATCH_INLINE IntRegister add(IntRegister sum, Weights w, IntRegister x) {
    return add_pairs(sum, w, x);
  }
  MMBATCH_INLINE IntRegister splat(const std::byte* x) {
    typedef std::int64_t Longs __attribute__((vector_size(kRegisterBytes)));
    std::int64_t four;
    __builtin_memcpy(&four, x, sizeof(four));
    return (IntRegister)(four - Longs{});
  }
  /// Adds up what each column has in two lanes, and to y.
  template <std::size_t C>
  MMBATCH_INLINE void put(const IntRegister (&sums)[C], Begin begin, float* y) {
    MMBATCH_UNROLLED(C / 2, i) {
      constexpr std::size_t c = 2 * i;
      IntRegister sum = sums_of_neighbours(sums[c], sums[c + 1]);
      float* to = y + c * kColumns;
      if (begin == Begin::stored) sum = sum + load_register<IntRegister>(to);
      store_register(to, sum);
    });
  }
};
#elif defined(MMBATCH_SIGNED_BYTES)
/// Bytes without sign by bytes with it, the way of VPMADDUBSW: two products, at most 128 · 127 each, fit
/// sixteen bits.
MMBATCH_INLINE IntRegister absolute(IntRegister w) {
  return (IntRegister)_mm256_abs_epi8((__m256i)w);
}
/// x where w > 0, -x where w < 0, and 0
MMBATCH_INLINE IntRegister signed_by(IntRegister x, IntRegister w) {
  return (IntRegister)_mm256_sign_epi8((__m256i)x, (__m256i)w);
}
/// All bits of the bytes that are below 0.
MMBATCH_INLINE IntRegister negative(IntRegister w) {
  return (IntRegister)_mm256_cmpgt_epi8(_mm256_setzero_si256(), (__m256i)w);
}
MMBATCH_INLINE IntRegister add_bytes(IntRegister sum, IntRegister without_sign, IntRegister x) {
  const __m256i pairs = _mm256_maddubs_epi16((__m256i)without_sign, (__m256i)x);
  return sum + (IntRegister)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

/// Weights as they are worth, stored as weight + 128.
MMBATCH_INLINE IntRegister load_signed(const std::byte* p) {
  return load_register<IntRegister>(p) ^ static_cast<int>(0x80808080u);
}

/// Absolute values of weights, which the bits of activations are turned over for where `minus` has all bits:
/// that is -x - 1, one instruction where -x takes two, or a multiplier's place. What is lacking for it, the
/// sum of the negative weights, is the same for all rows.
struct TurnedBytes : SumOfColumn {
  struct Weights {
    IntRegister absolute, minus;
  };
  static constexpr std::size_t kWeightBytes = 2 * kRegisterBytes;
  static constexpr std::size_t kWeightRegisters = 2;

  MMBATCH_INLINE Weights weights(const std::byte* p) {
    return {kept(load_register<IntRegister>(p)), kept(load_register<IntRegister>(p + kRegisterBytes))};
  }
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x) {
    return add_bytes(sum, w.absolute, x ^ w.minus);
  }
};

/// From weights as they are stored: signs move to activations.
struct SignedBytes : SumOfColumn {
  struct Weights {
    IntRegister absolute, signs;
  };
  using Ready = TurnedBytes;
  static constexpr std::size_t kWeightBytes = kRegisterBytes;
  static constexpr std::size_t kWeightRegisters = 2;

  MMBATCH_INLINE Weights weights(const std::byte* p) {
    const IntRegister w = load_signed(p);
    return {kept(absolute(w)), kept(w)};
  }
  MMBATCH_INLINE IntRegister add(IntRegister sum, const Weights& w, IntRegister x) {
    return add_bytes(sum, w.absolute, signed_by(x, w.signs));
  }
  /// Adds to `sum` what the sums of all rows begin with.
  MMBATCH_INLINE IntRegister make_ready(const std::byte* from, std::byte* to, IntRegister sum) {
    const IntRegister w = load_signed(from), size = absolute(w), minus = negative(w);
    store_register(to, size);
    store_register(to + kRegisterBytes, minus);
    return sum - add_bytes(IntRegister{}, size, minus);
  }
};
#endif

#if defined(__AVXVNNI__)
struct BytesByFour : SumOfColumn {
  using Weights = IntRegister;
  static constexpr std::size_t kWeightBytes = kRegisterBytes;
  static constexpr std::size_t kWeightRegisters = 1;

  MMBATCH_INLINE Weights weights(const std::byte* p) { return load_register<IntRegister>(p); }
  MMBATCH_INLINE IntRegister add(IntRegister sum, Weights w, IntRegister x) {
    return (IntRegister)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
  }
};
#endif

}  // namespace mmbatch::MMBATCH_ISA
