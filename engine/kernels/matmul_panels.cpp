// Weights in the panels of panel.h: sizes, and what serves each format. Rounding and layout are in
// simd/pack.cpp, the products in simd/panel_*.cpp.

#include <unistd.h>

#include <algorithm>

#include "engine/kernels/matmul_kernel.h"
#include "engine/kernels/panel.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

constexpr std::size_t kColumns = Panel::kColumns, kStrip = Panel::kStrip;

bool always() {
  return true;
}

std::size_t f32_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns * sizeof(float);
}
std::size_t bf16_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns * 2;
}
std::size_t int16_bytes(std::size_t in, std::size_t) {
  return Panel::depth(in) * kColumns * 2 + kColumns * sizeof(float);
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
std::size_t int16_row_bytes(std::size_t in) {
  return Int16Row::bytes(Panel::depth(in));
}
std::size_t int8_row_bytes(std::size_t in) {
  return QuantizedRow::bytes(Panel::depth(in) * simd().int8_bytes);
}
std::size_t int4_row_bytes(std::size_t in) {
  return QuantizedRow::bytes_with_offsets(Panel::depth(in));
}

/// A panel of [columns, in], strip by strip; what a strip lacks of columns is zeros.
template <void (*SimdKernels::*pack_strip)(const StripWeights&),
          std::size_t (*panel_bytes)(std::size_t, std::size_t)>
void pack(const float* weights, std::size_t in, std::size_t columns, std::byte* packed) {
  const std::size_t strip_bytes = panel_bytes(in, columns) / (kColumns / kStrip);
  for (std::size_t first = 0; first < kColumns; first += kStrip, packed += strip_bytes) {
    const std::size_t here = std::min(kStrip, columns - std::min(first, columns));
    (simd().*pack_strip)({here == 0 ? weights : weights + first * in, in, here, packed});
  }
}

void prepare_f32(const float* x, std::size_t in, std::byte* row) {
  simd().to_f32(x, in, Panel::depth(in), row);
}
void prepare_bf16(const float* x, std::size_t in, std::byte* row) {
  simd().to_bf16(x, in, Panel::depth(in), row);
}
void prepare_int16(const float* x, std::size_t in, std::byte* row) {
  simd().quantize_int16(x, in, Panel::depth(in), row);
}
void prepare_int8(const float* x, std::size_t in, std::byte* row) {
  simd().quantize(x, in, Panel::depth(in), row);
}
void prepare_int4(const float* x, std::size_t in, std::byte* row) {
  simd().quantize_groups(x, in, Panel::depth(in), row);
}

template <void (*SimdKernels::*product)(const PanelProduct&), std::size_t (*row_bytes)(std::size_t)>
void multiply(const MatmulKernel::Tile& tile) {
  (simd().*product)({tile.x, row_bytes(tile.in), tile.rows, Panel::depth(tile.in), tile.packed, tile.y,
                     tile.next, tile.target});
}

constexpr std::size_t kSmallestCache = 32 << 10;  // of processors with AVX-512

std::size_t first_level_cache() {
  const long told = ::sysconf(_SC_LEVEL1_DCACHE_SIZE);
  return std::max(kSmallestCache, told > 0 ? static_cast<std::size_t>(told) : 0);
}

}  // namespace

std::size_t panel_block_bytes() {
  static const std::size_t bytes = std::min(first_level_cache() * 2 / 3, kMostBlockBytes);
  return bytes;
}

bool reads_as_zen5() {
  // Of AMD's processors with AVX-512 the first with so large a first-level cache; GCC 12 does not know its
  // name.
  static const bool zen5 = __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
                           first_level_cache() > kSmallestCache;
  return zen5;
}

const MatmulKernel kF32Matmul = {
    "f32",         Precision::f32, always,
    kColumns,      f32_bytes,      pack<&SimdKernels::pack_f32, f32_bytes>,
    f32_row_bytes, prepare_f32,    multiply<&SimdKernels::f32_panel, f32_row_bytes>};
const MatmulKernel kBf16Matmul = {
    "bf16",         Precision::bf16, always,
    kColumns,       bf16_bytes,      pack<&SimdKernels::pack_bf16, bf16_bytes>,
    bf16_row_bytes, prepare_bf16,    multiply<&SimdKernels::bf16_panel, bf16_row_bytes>};
const MatmulKernel kInt16Matmul = {
    "int16",         Precision::int16, always,
    kColumns,        int16_bytes,      pack<&SimdKernels::pack_int16, int16_bytes>,
    int16_row_bytes, prepare_int16,    multiply<&SimdKernels::int16_panel, int16_row_bytes>};
const MatmulKernel kInt8Matmul = {
    "int8",         Precision::int8, always,
    kColumns,       int8_bytes,      pack<&SimdKernels::pack_int8, int8_bytes>,
    int8_row_bytes, prepare_int8,    multiply<&SimdKernels::int8_panel, int8_row_bytes>};
const MatmulKernel kW8a16Matmul = {
    "w8a16",        Precision::w8a16, always,
    kColumns,       int8_bytes,       pack<&SimdKernels::pack_w8a16, int8_bytes>,
    bf16_row_bytes, prepare_bf16,     multiply<&SimdKernels::w8a16_panel, bf16_row_bytes>};
const MatmulKernel kInt4Matmul = {
    "int4",         Precision::int4, always,
    kColumns,       int4_bytes,      pack<&SimdKernels::pack_int4, int4_bytes>,
    int4_row_bytes, prepare_int4,    multiply<&SimdKernels::int4_panel, int4_row_bytes>};
const MatmulKernel kW4a16Matmul = {
    "w4a16",        Precision::w4a16, always,
    kColumns,       int4_bytes,       pack<&SimdKernels::pack_w4a16, int4_bytes>,
    bf16_row_bytes, prepare_bf16,     multiply<&SimdKernels::w4a16_panel, bf16_row_bytes>};

}  // namespace mmbatch
