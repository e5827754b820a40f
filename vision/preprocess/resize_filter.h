#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vision/preprocess/resize.h"

namespace mmbatch {

/// Bits behind the point of a weight: 8-bit samples times weights, summed with two bits to spare, fill an
/// int32. Pillow's PRECISION_BITS.
constexpr int kWeightBits = 32 - 8 - 2;

/// Which source samples along one axis make each output sample of a range, and with which fixed-point
/// weights.
struct ResizeFilter {
  struct Taps {
    int begin = 0;            // first source sample
    int count = 0;            // at least 1; begin + count is at most the source's size
    std::size_t weights = 0;  // where their weights start
  };
  std::vector<Taps> outputs;          // begin and begin + count never decrease
  std::vector<std::int32_t> weights;  // each output's sum to about 1 << kWeightBits
};

/// One axis of a resize.
struct ResizeAxis {
  int source = 0;            // samples there
  std::int64_t resized = 0;  // samples of the whole output
  std::int64_t first = 0;    // of them, those wanted: [first, first + count)
  int count = 0;
};

/// The taps of a filter, computed in double and rounded as precompute_coeffs() and normalize_coeffs_8bpc() of
/// Pillow's libImaging/Resample.c do, or as _compute_index_ranges_int16_weights() of ATen's
/// UpSampleKernel.cpp. Not for Resample::nearest.
ResizeFilter make_resize_filter(const ResizeAxis& axis, Resampling resampling);

/// The one source sample of each wanted output sample under Resample::nearest. Adds up the step as
/// ImagingScaleAffine() of libImaging/Geometry.c does: a product would round differently.
std::vector<int> nearest_samples(const ResizeAxis& axis);

}  // namespace mmbatch
