// Weights in the panels of panel.h: rounding and layout. The products themselves are in simd/panel_*.cpp.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

constexpr std::size_t kColumns = Panel::kColumns, kStrip = Panel::kStrip;

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

/// NaN where one of them is not finite: as a scale it shows in every product.
float largest_magnitude(const float* x, std::size_t n) {
  if (!all_finite(x, n)) return kNoNumber;
  float most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  return most;
}

/// x / scale rounded and bounded; 0 where the scale is 0 or the quotient is not a number.
int quantized(float x, float inverse, int low, int high) {
  const float scaled = x * inverse;
  return std::isnan(scaled) ? 0 : static_cast<int>(std::nearbyint(std::clamp<float>(scaled, low, high)));
}

std::size_t f32_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns * sizeof(float);
}
std::size_t bf16_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns * 2;
}
std::size_t int8_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns + kColumns * sizeof(float);
}
std::size_t int4_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) / (2 * Panel::kGroup) * Panel::kGroupPair * (kColumns / kStrip);
}

std::size_t f32_row_bytes(std::size_t in) {
  return Panel::row_bytes(Panel::depth(in) * sizeof(float));
}
std::size_t bf16_row_bytes(std::size_t in) {
  return Panel::row_bytes(Panel::depth(in) * simd().bf16_bytes);
}
std::size_t int8_row_bytes(std::size_t in) {
  return QuantizedRow::bytes(Panel::depth(in) * simd().int8_bytes);
}
std::size_t int4_row_bytes(std::size_t in) {
  return QuantizedRow::bytes_with_offsets(Panel::depth(in));
}

/// Where a word is, counted in bytes from the start of its strip: words of four bytes in steps of kStrip.
std::size_t word(std::size_t step, std::size_t column) {
  return (step * kStrip + column % kStrip) * 4;
}

void pack_f32(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  std::memset(packed, 0, f32_bytes(in, columns));
  for (std::size_t c = 0; c < columns; ++c) {
    std::byte* strip = packed + c / kStrip * Panel::depth(in) * kStrip * sizeof(float);
    for (std::size_t k = 0; k < in; ++k) std::memcpy(strip + word(k, c), weights + c * in + k, sizeof(float));
  }
}

void pack_bf16(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  std::memset(packed, 0, bf16_bytes(in, columns));
  for (std::size_t c = 0; c < columns; ++c) {
    std::byte* strip = packed + c / kStrip * Panel::depth(in) * kStrip * 2;
    for (std::size_t k = 0; k < in; ++k) {
      const std::uint16_t half = to_bf16(weights[c * in + k]);
      std::memcpy(strip + word(k / 2, c) + k % 2 * 2, &half, 2);
    }
  }
}

/// One scale per column. `together` inputs of a column lie side by side; `offset` is added before storing.
void pack_bytes(const float* weights, std::size_t in, std::size_t columns, std::size_t together, int offset,
                std::byte* packed) {
  const std::size_t values = Panel::depth(in) * kStrip, strip_bytes = values + kStrip * sizeof(float);
  for (std::size_t first = 0; first < kColumns; first += kStrip, packed += strip_bytes) {
    std::memset(packed, offset, values);
    std::memset(packed + values, 0, kStrip * sizeof(float));
    for (std::size_t c = first; c < std::min(first + kStrip, columns); ++c) {
      const float scale = largest_magnitude(weights + c * in, in) / 127.0f;
      const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
      std::memcpy(packed + values + c % kStrip * sizeof(float), &scale, sizeof(scale));
      for (std::size_t k = 0; k < in; ++k) {
        const int q = quantized(weights[c * in + k], inverse, -127, 127) + offset;
        packed[(k / together * kStrip + c % kStrip) * together + k % together] = static_cast<std::byte>(q);
      }
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

/// In which half byte of a word, counted from the lowest, each of eight inputs is.
using NibbleOrder = std::array<std::size_t, 8>;
constexpr NibbleOrder kFours = {0, 2, 4, 6, 1, 3, 5, 7};
/// Neighbours sixteen bits apart, as pairs of bfloat16 lie.
constexpr NibbleOrder kPairs = {0, 4, 1, 5, 2, 6, 3, 7};

/// A group's part in a column.
void pack_int4_group(const float* x, std::size_t count, std::size_t column, const NibbleOrder& order,
                     std::byte* values, std::byte* scales) {
  const std::uint16_t stored = int4_scale(x, count);
  const float scale = from_bf16(stored), inverse = scale != 0 ? 1.0f / scale : 0.0f;
  std::memcpy(scales + column % kStrip * 2, &stored, 2);
  for (std::size_t k = 0; k < count; ++k) {
    const auto nibble = static_cast<unsigned>(quantized(x[k], inverse, -8, 7) + 8);
    const std::size_t place = order[k % 8];
    std::byte& at = values[word(k / 8, column) + place / 2];
    at = place % 2 == 0 ? (at & std::byte{0xf0}) | static_cast<std::byte>(nibble)
                        : (at & std::byte{0x0f}) | static_cast<std::byte>(nibble << 4);
  }
}

void pack_nibbles(const float* weights, std::size_t in, std::size_t columns, const NibbleOrder& order,
                  std::byte* packed) {
  constexpr std::size_t kValues = 2 * Panel::kGroupValues;
  for (std::size_t strip = 0; strip < kColumns; strip += kStrip) {
    for (std::size_t first = 0; first < Panel::depth(in); first += Panel::kGroup) {
      const std::size_t second = first / Panel::kGroup % 2;
      if (second == 0) {
        std::memset(packed, 0x88, kValues);
        std::memset(packed + kValues, 0, Panel::kGroupPair - kValues);
      }
      const std::size_t count = first < in ? std::min(Panel::kGroup, in - first) : 0;
      for (std::size_t c = strip; c < std::min(strip + kStrip, columns) && count > 0; ++c) {
        pack_int4_group(weights + c * in + first, count, c, order, packed + second * Panel::kGroupValues,
                        packed + kValues + second * kStrip * 2);
      }
      packed += second * Panel::kGroupPair;
    }
  }
}

void pack_int4(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  pack_nibbles(weights, in, columns, kFours, packed);
}
void pack_w4a16(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  pack_nibbles(weights, in, columns, kPairs, packed);
}

void prepare_f32(const float* x, std::size_t in, std::byte* row) {
  simd().to_f32(x, in, Panel::depth(in), row);
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

const MatmulKernel kF32Matmul = {
    "f32",         Precision::f32, always,
    kColumns,      f32_bytes,      pack_f32,
    f32_row_bytes, prepare_f32,    multiply<&SimdKernels::f32_panel, f32_row_bytes>};
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
    int4_row_bytes, prepare_int4,    multiply<&SimdKernels::int4_panel, int4_row_bytes>};
const MatmulKernel kW4a16Matmul = {
    "w4a16",        Precision::w4a16, always,
    kColumns,       int4_bytes,       pack_w4a16,
    bf16_row_bytes, prepare_bf16,     multiply<&SimdKernels::w4a16_panel, bf16_row_bytes>};

}  // namespace mmbatch
