// Rows of activations to int8, one scale per row or group, and to int16.

#include "engine/kernels/simd/blocks/registers.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

constexpr std::size_t kParts = kLanes / kRegisterLanes;

/// Sixteen integers of at most two bytes.
struct Whole {
  IntRegister part[kParts];
};

/// x · factor, of magnitude below 2¹⁵, rounded once, to the nearest even integer: adding 1.5 · 2²³ does this
/// and leaves it in the low bits, where the product is joined with the sum. Where there is no such
/// instruction, doubles hold the product exactly.
MMBATCH_INLINE IntRegister rounded_product(FloatRegister x, float factor) {
#if defined(__FMA__)
  return (IntRegister)(x * factor + 12582912.0f) - 0x4b400000;
#else
  typedef double Doubles __attribute__((vector_size(2 * kRegisterBytes)));
  typedef std::int64_t Longs __attribute__((vector_size(2 * kRegisterBytes)));
  const Doubles product = __builtin_convertvector(x, Doubles) * static_cast<double>(factor);
  return __builtin_convertvector((Longs)(product + 6755399441055744.0), IntRegister);  // 1.5 · 2⁵²
#endif
}

MMBATCH_INLINE void add(Whole& total, const Whole& more) {
  MMBATCH_UNROLLED(kParts, p) {
    total.part[p] = total.part[p] + more.part[p];
  });
}

MMBATCH_INLINE std::int32_t sum_lanes(const Whole& whole) {
  std::int32_t lane[kLanes], total = 0;
  __builtin_memcpy(lane, &whole, sizeof lane);
  for (std::size_t i = 0; i < kLanes; ++i) total += lane[i];
  return total;
}

/// As int16[16].
MMBATCH_INLINE void store_shorts(std::byte* to, const Whole& whole) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16((__m512i)whole.part[0]));
#elif defined(__AVX2__)
  const __m256i halves = _mm256_packs_epi32((__m256i)whole.part[0], (__m256i)whole.part[1]);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(halves, 0xd8));
#else
  auto* out = reinterpret_cast<__m128i*>(to);
  _mm_storeu_si128(out, _mm_packs_epi32((__m128i)whole.part[0], (__m128i)whole.part[1]));
  _mm_storeu_si128(out + 1, _mm_packs_epi32((__m128i)whole.part[2], (__m128i)whole.part[3]));
#endif
}

/// As int8[16].
MMBATCH_INLINE void store_bytes(std::byte* to, const Whole& whole) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)whole.part[0]));
#else
  __m128i halves[2];
  store_shorts(reinterpret_cast<std::byte*>(halves), whole);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(halves[0], halves[1]));
#endif
}

struct Scaled {
  float scale;
  float inverse;
  std::size_t count;  // numbers to store; zeros follow them
};

/// An integer divided by less than it times this may overflow: such numbers are taken as zeros.
constexpr float kTiny = 1e-38f;

/// The scale of a row of n whose largest number becomes `integer`. With an infinity or a NaN among them it is
/// NaN, as then are all products of the row.
Scaled scale_of(const float* x, std::size_t n, float integer = 127.0f) {
  std::int32_t most = 0;  // bits of the largest magnitude, whose order as integers is that of floats
  for (std::size_t i = 0; i < n; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    most = bits > most ? bits : most;
  }
  if (most >= 0x7f800000) return {__builtin_nanf(""), 0.0f, 0};
  float largest;
  __builtin_memcpy(&largest, &most, sizeof largest);
  return {largest / integer, largest > integer * kTiny ? integer / largest : 0.0f, n};
}

MMBATCH_INLINE Whole quantized(const float* x, std::size_t i, const Scaled& scaled) {
  Whole whole;
  if (i + kLanes <= scaled.count) {
    MMBATCH_UNROLLED(kParts, p) {
      const auto some = load_register<FloatRegister>(x + i + p * kRegisterLanes);
      whole.part[p] = rounded_product(some, scaled.inverse);
    });
    return whole;
  }
  float padded[kLanes] = {};
  for (std::size_t k = i; k < scaled.count; ++k) padded[k - i] = x[k];
  MMBATCH_UNROLLED(kParts, p) {
    const auto some = load_register<FloatRegister>(padded + p * kRegisterLanes);
    whole.part[p] = rounded_product(some, scaled.inverse);
  });
  return whole;
}

/// Stores sixteen numbers from x[i] on at `to`, and returns them.
MMBATCH_INLINE Whole put(const float* x, std::size_t i, const Scaled& scaled, std::byte* to) {
  const Whole whole = quantized(x, i, scaled);
  store_bytes(to, whole);
  return whole;
}

}  // namespace

void quantize(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  const Scaled scaled = scale_of(x, n);
  Whole total{};
  std::byte* to = row + QuantizedRow::kHeaderBytes;
  for (std::size_t i = 0; i < depth; i += kLanes, to += kInt8Bytes * kLanes) {
    const Whole whole = quantized(x, i, scaled);
    if constexpr (kInt8Bytes == 2)
      store_shorts(to, whole);
    else
      store_bytes(to, whole);
    add(total, whole);
  }
  const QuantizedRow header{scaled.scale, sum_lanes(total)};
  __builtin_memcpy(row, &header, sizeof(header));
}

void quantize_int16(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  std::byte *to = row, *scales = row + depth * sizeof(std::int16_t);
  for (std::size_t first = 0; first < depth; first += Panel::kInt16Group, scales += sizeof(float)) {
    const std::size_t there = n > first ? n - first : 0, left = depth - first;
    const std::size_t count = left < Panel::kInt16Group ? left : Panel::kInt16Group;
    const Scaled scaled = scale_of(x + first, there < count ? there : count, Int16Row::kLargest);
    for (std::size_t i = 0; i < count; i += kLanes, to += kLanes * sizeof(std::int16_t))
      store_shorts(to, quantized(x + first, i, scaled));
    __builtin_memcpy(scales, &scaled.scale, sizeof(scaled.scale));
  }
}

void quantize_cached(const float* x, std::size_t n, std::byte* row) {
  const Scaled scaled = scale_of(x, n);
  for (std::size_t i = 0; i < n; i += kLanes) {
    std::byte some[kLanes];
    put(x, i, scaled, some);
    __builtin_memcpy(row + i, some, n - i < kLanes ? n - i : kLanes);
  }
  __builtin_memcpy(row + n, &scaled.scale, sizeof(scaled.scale));
}

void quantize_groups(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  static_assert(Panel::kGroup == 2 * kLanes);
  const Scaled scaled = scale_of(x, n);
  std::byte* values = row + QuantizedRow::kHeaderBytes;
  std::byte* offsets = values + depth;
  std::int32_t all = 0;
  for (std::size_t i = 0; i < depth; i += Panel::kGroup) {
    Whole pair = put(x, i, scaled, values + i);
    add(pair, put(x, i + kLanes, scaled, values + i + kLanes));
    const std::int32_t sum = sum_lanes(pair), offset = -8 * sum;
    __builtin_memcpy(offsets + i / Panel::kGroup * sizeof(offset), &offset, sizeof(offset));
    all += sum;
  }
  const QuantizedRow header{scaled.scale, all};
  __builtin_memcpy(row, &header, sizeof(header));
}

namespace {

/// One register's lanes of groups at a time: what is found of each is put into a lane of one register.
constexpr std::size_t kTogether = kRegisterLanes;

MMBATCH_INLINE IntRegister larger(IntRegister a, IntRegister b) {
  const IntRegister mask = a > b;
  return (a & mask) | (b & ~mask);
}

/// Lane i of the result is all lanes of v[i] joined, two neighbours by `join` at a time.
template <class Join>
MMBATCH_INLINE IntRegister joined_lanes(IntRegister (&v)[kTogether], const Join& join) {
  for (std::size_t count = kTogether / 2; count > 0; count /= 2) {
    for (std::size_t i = 0; i < count; ++i)
      v[i] = join(every_other<0>(v[2 * i], v[2 * i + 1]), every_other<1>(v[2 * i], v[2 * i + 1]));
  }
  return v[0];
}

/// Sixteen integers as those of one register, added up.
MMBATCH_INLINE IntRegister folded(const Whole& whole) {
  IntRegister sum = whole.part[0];
  for (std::size_t i = 1; i < kParts; ++i) sum = sum + whole.part[i];
  return sum;
}

/// The bits of the largest magnitude of 32 numbers: as integers those of NaN and infinity are larger than
/// all.
MMBATCH_INLINE IntRegister largest_bits(const float* x) {
  IntRegister most{};
  for (std::size_t i = 0; i < 32; i += kRegisterLanes)
    most = larger(load_register<IntRegister>(x + i) & 0x7fffffff, most);
  return most;
}

/// kTogether groups, of which `count` are stored.
MMBATCH_INLINE void put_groups(const float* x, std::size_t count, std::byte* values, std::byte* side) {
  constexpr std::int32_t kInfinity = 0x7f800000;
  IntRegister v[kTogether], second[kTogether];
  for (std::size_t g = 0; g < kTogether; ++g) v[g] = largest_bits(x + g * Panel::kGroup);
  const IntRegister bits = joined_lanes(v, [](IntRegister a, IntRegister b) { return larger(a, b); });
  const FloatRegister most = (FloatRegister)bits;
  float scale[kTogether], inverse[kTogether];
  store_register(scale, most / 127.0f);
  store_register(inverse, 127.0f / most);
  std::int32_t largest[kTogether];
  store_register(largest, bits);
  for (std::size_t g = 0; g < kTogether; ++g) {
    Scaled scaled{scale[g], inverse[g], Panel::kGroup};
    float of_group;
    __builtin_memcpy(&of_group, &largest[g], sizeof(of_group));
    if (largest[g] >= kInfinity) {
      scaled = {__builtin_nanf(""), 0.0f, 0};
      scale[g] = scaled.scale;
    } else if (!(of_group > 127.0f * kTiny)) {
      scaled.inverse = 0.0f;
    }
    std::byte unused[2 * kLanes];
    std::byte* to = g < count ? values + g * Panel::kGroup : unused;
    const float* from = x + g * Panel::kGroup;
    v[g] = folded(put(from, 0, scaled, to));
    second[g] = folded(put(from, kLanes, scaled, to + kLanes));
  }
  const auto sum = [](IntRegister a, IntRegister b) { return a + b; };
  std::int32_t halves[2][kTogether];
  store_register(halves[0], joined_lanes(v, sum));
  store_register(halves[1], joined_lanes(second, sum));
  for (std::size_t g = 0; g < count; ++g, side += sizeof(GroupedRow::Side)) {
    const std::int32_t all = halves[0][g] + halves[1][g];
    const GroupedRow::Side of_group{
        scale[g], -all, scale[g] * static_cast<float>(all), {-halves[0][g], -halves[1][g]}};
    __builtin_memcpy(side, &of_group, sizeof(of_group));
  }
}

}  // namespace

void quantize_in_groups(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  static_assert(Panel::kGroup == 2 * kLanes);
  constexpr std::size_t kSide = sizeof(GroupedRow::Side), kInputs = kTogether * Panel::kGroup;
  std::byte* side = row + depth;
  std::size_t i = 0;
  for (; i + kInputs <= n; i += kInputs)
    put_groups(x + i, kTogether, row + i, side + i / Panel::kGroup * kSide);
  for (; i < depth; i += kInputs) {
    const std::size_t groups = (depth - i) / Panel::kGroup, count = groups < kTogether ? groups : kTogether;
    if (i >= n) {
      __builtin_memset(row + i, 0, count * Panel::kGroup);
      __builtin_memset(side + i / Panel::kGroup * kSide, 0, count * kSide);
      continue;
    }
    float rest[kInputs] = {};
    __builtin_memcpy(rest, x + i, (n - i) * sizeof(float));
    put_groups(rest, count, row + i, side + i / Panel::kGroup * kSide);
  }
}

}  // namespace mmbatch::MMBATCH_ISA
