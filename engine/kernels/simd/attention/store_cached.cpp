#include "engine/kernels/simd/attention/rounding.h"
#include "engine/kernels/simd/functions.h"

namespace mmbatch::MMBATCH_ISA {
namespace {

/// int16[n], then the scale, a float.
void round_cached(float largest, const float* x, std::size_t n, std::byte* row) {
  const auto* from = reinterpret_cast<const std::byte*>(x);
  Ints magnitudes[kLanes] = {Rounding::magnitudes(from, n)};
  const Rounding rounding = Rounding::up_to(largest, lane_maxima(magnitudes, 1));
  const float inverse = rounding.inverse[0], scale = rounding.scale[0];
  for (std::size_t d = 0; d < n; d += kLanes) {
    std::byte some[2 * kLanes];
    store_halves(some, nearest(load_plain<KvPrecision::f32>(from, d, n), inverse));
    __builtin_memcpy(row + 2 * d, some, 2 * (n - d < kLanes ? n - d : kLanes));
  }
  __builtin_memcpy(row + 2 * n, &scale, sizeof(scale));
}

void store_bf16_row(const float* x, std::size_t n, std::byte* row) {
  std::size_t d = 0;
  for (; d + kLanes <= n; d += kLanes) store_bf16(row + 2 * d, load(x + d));
  if (d == n) return;
  std::byte some[2 * kLanes];
  store_bf16(some, load_some(x + d, n - d));
  __builtin_memcpy(row + 2 * d, some, 2 * (n - d));
}

}  // namespace

void store_cached(RowKind kind, KvPrecision format, const float* x, std::size_t n, std::byte* row) {
  switch (format) {
    case KvPrecision::f32:
      __builtin_memcpy(row, x, n * sizeof(float));
      return;
    case KvPrecision::bf16:
      return store_bf16_row(x, n, row);
    case KvPrecision::int16:
      return round_cached(kind == RowKind::key ? largest_key(n) : kMostValue, x, n, row);
    case KvPrecision::int8:
      return quantize_cached(x, n, row);
  }
}

}  // namespace mmbatch::MMBATCH_ISA
