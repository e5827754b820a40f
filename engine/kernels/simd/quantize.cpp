// Rows of activations to int8, one scale per row.

#include "engine/kernels/simd/dot.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

MMBATCH_INLINE Floats magnitude(Floats x) {
  return (Floats)((Ints)x & 0x7fffffff);
}

MMBATCH_INLINE Floats load_at(const float* x, std::size_t i, std::size_t n) {
  if (i + kLanes <= n) return load(x + i);
  return i < n ? load_some(x + i, n - i) : Floats{};
}

/// x · factor, of magnitude up to 127, rounded once, to the nearest even integer: adding 1.5 · 2²³ does this
/// and leaves it in the low bits, where the product is joined with the sum. Where there is no such
/// instruction, doubles hold the product exactly.
MMBATCH_INLINE Ints rounded_product(Floats x, float factor) {
#if defined(__FMA__)
  return (Ints)(x * factor + splat(12582912.0f)) - 0x4b400000;
#else
  typedef double Doubles __attribute__((vector_size(2 * sizeof(Floats))));
  typedef std::int64_t Longs __attribute__((vector_size(2 * sizeof(Floats))));
  const Doubles product = __builtin_convertvector(x, Doubles) * static_cast<double>(factor);
  return __builtin_convertvector((Longs)(product + 6755399441055744.0), Ints);  // 1.5 · 2⁵²
#endif
}

MMBATCH_INLINE std::int32_t sum_lanes(Ints v) {
  alignas(64) std::int32_t lane[kLanes];
  store_ints(lane, v);
  std::int32_t total = 0;
  for (std::size_t i = 0; i < kLanes; ++i) total += lane[i];
  return total;
}

struct Scaled {
  float scale;
  float inverse;
  std::size_t count;  // numbers to store; zeros follow them
};

constexpr float kTiny = 1e-36f;  // 127 divided by less may overflow: such a row is taken as zeros

/// The scale of a row of n. With an infinity or a NaN among them it is NaN, as then are all products of the
/// row.
Scaled scale_of(const float* x, std::size_t n) {
  Floats most{}, zeros{};
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Floats some = load_at(x, i, n);
    most = max(most, magnitude(some));
    zeros = zeros + some * 0.0f;
  }
  const float largest = max_lane(most) + sum(zeros);
  if (largest != largest) return {largest, 0.0f, 0};
  return {largest / 127.0f, largest > kTiny ? 127.0f / largest : 0.0f, n};
}

MMBATCH_INLINE Ints quantized(const float* x, std::size_t i, const Scaled& scaled) {
  return rounded_product(load_at(x, i, scaled.count), scaled.inverse);
}

/// Stores sixteen numbers from x[i] on at `to`, and returns them.
MMBATCH_INLINE Ints put(const float* x, std::size_t i, const Scaled& scaled, std::byte* to) {
  const Ints whole = quantized(x, i, scaled);
  store_int8(to, whole);
  return whole;
}

}  // namespace

void quantize(const float* x, std::size_t n, std::size_t depth, std::byte* row) {
  const Scaled scaled = scale_of(x, n);
  Ints total{};
  std::byte* to = row + QuantizedRow::kHeaderBytes;
  for (std::size_t i = 0; i < depth; i += kLanes, to += kInt8Bytes * kLanes) {
    const Ints whole = quantized(x, i, scaled);
    if constexpr (kInt8Bytes == 2)
      store_halves(to, whole);
    else
      store_int8(to, whole);
    total = total + whole;
  }
  const QuantizedRow header{scaled.scale, sum_lanes(total)};
  __builtin_memcpy(row, &header, sizeof(header));
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
    const Ints pair = put(x, i, scaled, values + i) + put(x, i + kLanes, scaled, values + i + kLanes);
    const std::int32_t sum = sum_lanes(pair), offset = -8 * sum;
    __builtin_memcpy(offsets + i / Panel::kGroup * sizeof(offset), &offset, sizeof(offset));
    all += sum;
  }
  const QuantizedRow header{scaled.scale, all};
  __builtin_memcpy(row, &header, sizeof(header));
}

}  // namespace mmbatch::MMBATCH_ISA
