#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/linear.h"
#include "engine/nn/scratch.h"
#include "engine/nn/sliced/sliced_weights.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// Calls make(weights, slice) for each slice of this process, with the tensors that are its own.
/// @param add called with where they go, and the slice
template <class Part, class Add, class Make>
std::vector<Part> make_parts(const Weights& weights, const Add& add, const Make& make) {
  const Slices& slices = *weights.slices;
  std::vector<Part> parts;
  parts.reserve(slices.here());
  for (std::size_t i = slices.first(); i < slices.first() + slices.here(); ++i) {
    const SliceOf slice{i, slices.count()};
    SlicedWeights source(weights.source);
    add(source, slice);
    parts.push_back(make(Weights(source, weights.precision), slice));
    source.release();
  }
  return parts;
}

/// What is done to a sum of slices: it is kept within a range, then stored or added.
struct ThenSum {
  // NOLINTNEXTLINE(runtime/explicit): most sums have no range
  ThenSum(const Linear::Then& then_, const ValueRange& range_ = {}) : then(then_), range(range_) {}

  Linear::Then then;
  ValueRange range;
};

/// Has every slice of this process make its rows, adds up those of all, and stores or adds the sum.
/// @param make called with the number of the slice here and where its rows go
template <class Make>
void sum_of_parts(const Slices& slices, MatrixView<float> y, const ThenSum& then, Scratch& scratch,
                  const Make& make) {
  const std::size_t count = y.rows * y.cols, here = slices.here(), processes = slices.processes().size();
  const MatrixView<float> made = scratch.take(Scratch::slices_made, here + processes, count);
  for (std::size_t i = 0; i < here; ++i) make(i, MatrixView<float>(made.row(i), y.rows, y.cols));
  // In one of the two: this process's own.
  const MatrixView<float> sum(slices.sum(made.data, count, made.row(here)), y.rows, y.cols);
  const bool bounded = !(then.range == ValueRange{});
  parallel_rows(y.rows, [&](std::size_t r) {
    for (std::size_t i = 0; bounded && i < y.cols; ++i) sum.row(r)[i] = then.range.clamp(sum.row(r)[i]);
    if (then.then.accumulate)
      simd().add(y.row(r), sum.row(r), y.cols);
    else
      std::copy_n(sum.row(r), y.cols, y.row(r));
  });
}

template <class Parts>
std::size_t bytes_of(const Parts& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const auto& part) { return sum + part.bytes(); });
}

}  // namespace mmbatch
