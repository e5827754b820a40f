#include "vision/preprocess/resize_kernel.h"

#include <algorithm>
#include <cstring>

// The same code is compiled for any x86-64 (or other) machine and for AVX2, in GCC's vector extension. These
// are the loops where a picture's time goes: unrolled and vectorized whatever the rest is compiled with.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#define MMBATCH_INLINE __attribute__((always_inline)) inline

namespace mmbatch {
namespace {

using Int8 = std::int32_t __attribute__((vector_size(32)));  // two pixels of four samples
constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);       // rounds what is shifted out

MMBATCH_INLINE std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + kHalf) >> kWeightBits, 0, 255));
}

/// RGB to RGBX, so that two taps of one output are eight lanes, in the width of the sums: each sample is read
/// by several outputs and widened only once. A black pixel behind the end makes up a pair.
MMBATCH_INLINE void widen_row(const std::uint8_t* rgb, int columns, std::int32_t* rgbx) {
  for (int x = 0; x < columns; ++x) {
    for (int c = 0; c < 3; ++c) rgbx[4 * x + c] = rgb[3 * x + c];
    rgbx[4 * x + 3] = 0;
  }
  std::memset(rgbx + 4 * static_cast<std::size_t>(columns), 0, 4 * sizeof(*rgbx));
}

template <std::size_t kCount>
MMBATCH_INLINE void filter_rows(const HorizontalFilter& filter, const std::int32_t* rgbx, std::size_t stride,
                                MatrixView<std::uint8_t> out) {
  for (std::size_t x = 0; x < filter.outputs.size(); ++x) {
    const HorizontalFilter::Output& output = filter.outputs[x];
    const std::int32_t* weights = filter.weights.data() + output.weights;
    const std::int32_t* first = rgbx + 4 * static_cast<std::size_t>(output.begin);
    Int8 sums[kCount] = {};
    for (int pair = 0; pair < output.pairs; ++pair, weights += 2, first += 8) {
      const std::int32_t a = weights[0];
      const std::int32_t b = weights[1];
      const Int8 weight = {a, a, a, a, b, b, b, b};
      for (std::size_t row = 0; row < kCount; ++row) {
        Int8 samples;
        std::memcpy(&samples, first + row * stride, sizeof(samples));
        sums[row] += samples * weight;
      }
    }
    for (std::size_t row = 0; row < kCount; ++row) {
      for (std::size_t c = 0; c < 3; ++c) out.row(row)[3 * x + c] = rounded(sums[row][c] + sums[row][c + 4]);
    }
  }
}

MMBATCH_INLINE void horizontal(const Image& source, int first_row, const HorizontalFilter& filter,
                               std::int32_t* scratch, MatrixView<std::uint8_t> out) {
  const std::size_t stride = horizontal_scratch(filter.columns);
  for (std::size_t row = 0; row < out.rows; ++row) {
    widen_row(source.row(first_row + static_cast<int>(row)) + 3 * filter.first_column, filter.columns,
              scratch + row * stride);
  }
  if (out.rows == ResizeKernel::kRows) {
    return filter_rows<ResizeKernel::kRows>(filter, scratch, stride, out);
  }
  for (std::size_t row = 0; row < out.rows; ++row) {
    filter_rows<1>(filter, scratch + row * stride, stride, out.row_range(row, 1));
  }
}

MMBATCH_INLINE void accumulate(const std::uint8_t* row, std::int32_t weight, std::size_t columns,
                               std::int32_t* sums) {
  for (std::size_t i = 0; i < columns; ++i) sums[i] += row[i] * weight;
}

MMBATCH_INLINE void finish(const std::int32_t* sums, std::size_t columns, std::uint8_t* out) {
  for (std::size_t i = 0; i < columns; ++i) out[i] = rounded(sums[i]);
}

#if defined(__x86_64__)
#define MMBATCH_AVX2 __attribute__((target("avx2")))
MMBATCH_AVX2 void horizontal_avx2(const Image& source, int first_row, const HorizontalFilter& filter,
                                  std::int32_t* scratch, MatrixView<std::uint8_t> out) {
  horizontal(source, first_row, filter, scratch, out);
}
MMBATCH_AVX2 void accumulate_avx2(const std::uint8_t* row, std::int32_t weight, std::size_t columns,
                                  std::int32_t* sums) {
  accumulate(row, weight, columns, sums);
}
MMBATCH_AVX2 void finish_avx2(const std::int32_t* sums, std::size_t columns, std::uint8_t* out) {
  finish(sums, columns, out);
}
constexpr ResizeKernel kAvx2 = {horizontal_avx2, accumulate_avx2, finish_avx2};
#endif

void horizontal_portable(const Image& source, int first_row, const HorizontalFilter& filter,
                         std::int32_t* scratch, MatrixView<std::uint8_t> out) {
  horizontal(source, first_row, filter, scratch, out);
}
void accumulate_portable(const std::uint8_t* row, std::int32_t weight, std::size_t columns,
                         std::int32_t* sums) {
  accumulate(row, weight, columns, sums);
}
void finish_portable(const std::int32_t* sums, std::size_t columns, std::uint8_t* out) {
  finish(sums, columns, out);
}
constexpr ResizeKernel kPortable = {horizontal_portable, accumulate_portable, finish_portable};

}  // namespace

HorizontalFilter::HorizontalFilter(const ResizeFilter& filter) {
  const ResizeFilter::Taps& last = filter.outputs.back();
  first_column = filter.outputs.front().begin;
  columns = last.begin + last.count - first_column;
  outputs.reserve(filter.outputs.size());
  for (const ResizeFilter::Taps& taps : filter.outputs) {
    outputs.push_back({taps.begin - first_column, (taps.count + 1) / 2, weights.size()});
    const auto first = filter.weights.begin() + static_cast<std::ptrdiff_t>(taps.weights);
    weights.insert(weights.end(), first, first + taps.count);
    if (taps.count % 2 != 0) weights.push_back(0);
  }
}

std::size_t horizontal_scratch(int columns) {
  return 4 * (static_cast<std::size_t>(columns) + 1);
}

const ResizeKernel& resize_kernel() {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) return kAvx2;
#endif
  return kPortable;
}

const ResizeKernel& portable_resize_kernel() {
  return kPortable;
}

}  // namespace mmbatch
