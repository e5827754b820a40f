// Weights in the panels of panel.h: rounding and layout. The products themselves are in simd/panel_*.cpp.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

constexpr std::size_t kColumns = Panel::kColumns;

bool always() {
  return true;
}

/// Rounded to nearest even; NaN stays NaN.
std::uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_bf16(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

bool all_finite(const float* x, std::size_t n) {
  return std::all_of(x, x + n, [](float value) { return std::isfinite(value); });
}

/// NaN where one of them is no finite number: as a scale it shows in every product.
float largest_magnitude(const float* x, std::size_t n) {
  if (!all_finite(x, n)) return kNoNumber;
  float most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  return most;
}

/// x / scale rounded and bounded; 0 where the scale is 0 or the quotient no number.
int quantized(float x, float inverse, int low, int high) {
  const float scaled = x * inverse;
  return std::isnan(scaled) ? 0 : static_cast<int>(std::nearbyint(std::clamp<float>(scaled, low, high)));
}

std::size_t bf16_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns * 2;
}
std::size_t int8_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns + kColumns * sizeof(float);
}
std::size_t int4_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) / Panel::kGroup * Panel::kGroupBytes;
}

std::size_t bf16_row_bytes(std::size_t in) {
  return Panel::depth(in) * 2;
}
std::size_t int8_row_bytes(std::size_t in) {
  return QuantizedRow::bytes(Panel::depth(in));
}

void pack_bf16(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  std::memset(packed, 0, bf16_bytes(in, columns));
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t k = 0; k < in; ++k) {
      const std::uint16_t half = to_bf16(weights[c * in + k]);
      std::memcpy(packed + ((k / 2 * kColumns + c) * 2 + k % 2) * 2, &half, 2);
    }
  }
}

/// One scale a column. `together` inputs of a column lie side by side; `offset` is added before storing.
void pack_bytes(const float* weights, std::size_t in, std::size_t columns, std::size_t together, int offset,
                std::byte* packed) {
  const std::size_t values = Panel::depth(in) * kColumns;
  std::memset(packed, offset, values);
  std::memset(packed + values, 0, kColumns * sizeof(float));
  for (std::size_t c = 0; c < columns; ++c) {
    const float scale = largest_magnitude(weights + c * in, in) / 127.0f;
    const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
    std::memcpy(packed + values + c * sizeof(float), &scale, sizeof(scale));
    for (std::size_t k = 0; k < in; ++k) {
      const int q = quantized(weights[c * in + k], inverse, -127, 127) + offset;
      packed[(k / together * kColumns + c) * together + k % together] = static_cast<std::byte>(q);
    }
  }
}

void pack_int8(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  pack_bytes(weights, in, columns, 4, 128, packed);
}
void pack_w8a16(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  pack_bytes(weights, in, columns, 2, 0, packed);
}

float squared_error(const float* x, std::size_t n, float scale) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  float total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float error = x[i] - scale * std::nearbyint(std::clamp(x[i] * inverse, -8.0f, 7.0f));
    total += error * error;
  }
  return total;
}

/// The scale, as bfloat16, with the least squared error among some that put the largest weight at one
/// end of -8 … 7, a little inside or beyond: rounding error of the many against cutting off the largest.
std::uint16_t int4_scale(const float* x, std::size_t n) {
  if (!all_finite(x, n)) return to_bf16(kNoNumber);
  float extreme = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
  }
  std::uint16_t best = to_bf16(extreme / -8.0f);
  float least = squared_error(x, n, from_bf16(best));
  for (const float reach : {7.0f, 7.5f, 8.5f, 9.0f, 9.5f}) {
    for (const float sign : {-1.0f, 1.0f}) {
      const std::uint16_t tried = to_bf16(sign * extreme / reach);
      const float error = squared_error(x, n, from_bf16(tried));
      if (error < least) {
        least = error;
        best = tried;
      }
    }
  }
  return best;
}

void pack_int4(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  constexpr std::size_t kValues = Panel::kGroupBytes - 2 * kColumns;
  for (std::size_t first = 0; first < Panel::depth(in);
       first += Panel::kGroup, packed += Panel::kGroupBytes) {
    std::memset(packed, 0x88, kValues);
    std::memset(packed + kValues, 0, 2 * kColumns);
    const std::size_t count = first < in ? std::min(Panel::kGroup, in - first) : 0;
    for (std::size_t c = 0; c < columns && count > 0; ++c) {
      const float* x = weights + c * in + first;
      const std::uint16_t stored = int4_scale(x, count);
      const float scale = from_bf16(stored), inverse = scale != 0 ? 1.0f / scale : 0.0f;
      std::memcpy(packed + kValues + 2 * c, &stored, 2);
      for (std::size_t k = 0; k < count; ++k) {
        const auto nibble = static_cast<unsigned>(quantized(x[k], inverse, -8, 7) + 8);
        std::byte& at = packed[(k / 8 * kColumns + c) * 4 + k % 4];
        at = k % 8 < 4 ? (at & std::byte{0xf0}) | static_cast<std::byte>(nibble)
                       : (at & std::byte{0x0f}) | static_cast<std::byte>(nibble << 4);
      }
    }
  }
}

void prepare_bf16(const float* x, std::size_t in, std::byte* row) {
  simd().to_bf16(x, in, Panel::depth(in), row);
}
void prepare_int8(const float* x, std::size_t in, std::byte* row) {
  simd().quantize(x, in, Panel::depth(in), row);
}
void prepare_int4(const float* x, std::size_t in, std::byte* row) {
  simd().quantize_groups(x, in, Panel::depth(in), row);
}

template <void (*SimdKernels::*product)(const PanelProduct&), std::size_t (*row_bytes)(std::size_t)>
void multiply(const MatmulKernel::Tile& tile) {
  (simd().*product)({tile.x, row_bytes(tile.in), tile.rows, Panel::depth(tile.in), tile.packed, tile.y});
}

}  // namespace

const MatmulKernel kBf16Matmul = {
    "bf16",         Precision::bf16, always,
    kColumns,       bf16_bytes,      pack_bf16,
    bf16_row_bytes, prepare_bf16,    multiply<&SimdKernels::bf16_panel, bf16_row_bytes>};
const MatmulKernel kInt8Matmul = {
    "int8",         Precision::int8, always,
    kColumns,       int8_bytes,      pack_int8,
    int8_row_bytes, prepare_int8,    multiply<&SimdKernels::int8_panel, int8_row_bytes>};
const MatmulKernel kW8a16Matmul = {
    "w8a16",        Precision::w8a16, always,
    kColumns,       int8_bytes,       pack_w8a16,
    bf16_row_bytes, prepare_bf16,     multiply<&SimdKernels::w8a16_panel, bf16_row_bytes>};
const MatmulKernel kInt4Matmul = {
    "int4",         Precision::int4, always,
    kColumns,       int4_bytes,      pack_int4,
    int8_row_bytes, prepare_int4,    multiply<&SimdKernels::int4_panel, int8_row_bytes>};
const MatmulKernel kW4a16Matmul = {
    "w4a16",        Precision::w4a16, always,
    kColumns,       int4_bytes,       pack_int4,
    bf16_row_bytes, prepare_bf16,     multiply<&SimdKernels::w4a16_panel, bf16_row_bytes>};

}  // namespace mmbatch
