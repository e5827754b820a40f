#include "engine/nn/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/base/error.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

/// The rows as the product is to read them: normalised on their way, or before when somebody watches.
ProductRows rows_of(const LayerInput& input) {
  if (input.norm == nullptr) return {input.x};
  if (!input.norm->shown())
    return {input.x, [norm = input.norm](const float* row, float* out) { norm->row(row, out); }};
  thread_local Matrix<float> memory;
  if (memory.cols() < input.x.rows * input.x.cols) memory = Matrix<float>(1, input.x.rows * input.x.cols);
  const MatrixView<float> normed(memory.data(), input.x.rows, input.x.cols);
  input.norm->forward(input.x, normed);
  return {normed};
}

/// The same, kept within bounds.
ProductRows rows_within(const LayerInput& input, const ValueRange& range) {
  ProductRows rows = rows_of(input);
  if (range == ValueRange{}) return rows;
  rows.change = [range, before = rows.change, width = input.x.cols](const float* row, float* out) {
    if (before) before(row, out);
    const float* from = before ? out : row;
    for (std::size_t i = 0; i < width; ++i) out[i] = range.clamp(from[i]);
  };
  return rows;
}

/// A bound, which may be infinite.
float read_bound(const Weights& weights, const std::string& name) {
  float value = 0;
  copy_as_float(weights.parameter(name, {}), 0, 1, &value);
  if (std::isnan(value))
    throw ModelError(fmt::format("{}: tensor '{}' is not a number", weights.source.path().string(), name));
  return value;
}

}  // namespace

ValueRange stored_range(const Weights& weights, const std::string& name) {
  return {read_bound(weights, name + "_min"), read_bound(weights, name + "_max")};
}

Linear::Linear(const Weights& weights, std::span<const StoredLinear> parts, std::size_t in, Bias bias) {
  std::vector<std::shared_ptr<const PackedTensor>> packed;
  for (const StoredLinear& part : parts) {
    packed.push_back(weights.pack(weights.matrix(part.weight(), {part.out, in}, part.order)));
    if (part.bounds == Bounds::stored) {
      bounded_.push_back({part.out, stored_range(weights, part.name + ".input"),
                          stored_range(weights, part.name + ".output")});
    }
    if (bias == Bias::absent) continue;
    const std::vector<float> values = to_floats(weights.tensor(part.name + ".bias", {part.out}));
    bias_.insert(bias_.end(), values.begin(), values.end());
  }
  assert(bounded_.empty() || bounded_.size() == parts.size());
  weight_ = PackedMatrix(std::move(packed));
}

Linear::Linear(const Weights& weights, const StoredLinear& layer, std::size_t in, Bias bias)
    : Linear(weights, std::span(&layer, 1), in, bias) {}

void Linear::forward(const LayerInput& input, MatrixView<float> y, const Then& then) const {
  if (bounded_.empty())
    return weight_.multiply(rows_of(input), y, {bias(), then.activation, then.accumulate});
  assert(!then.activation);
  if (!then.accumulate) return forward_bounded(input, y);
  Matrix<float> made(y.rows, y.cols);
  forward_bounded(input, made.view());
  parallel_rows(y.rows, [&](std::size_t r) { simd().add(y.row(r), made.row(r), y.cols); });
}

void Linear::forward_bounded(const LayerInput& input, MatrixView<float> y) const {
  const auto same = [&](const Bounded& part) { return part.input == bounded_.front().input; };
  if (std::all_of(bounded_.begin(), bounded_.end(), same)) {
    weight_.multiply(rows_within(input, bounded_.front().input), y, {bias(), {}, false});
  } else {
    for (std::size_t i = 0, first = 0; i < bounded_.size(); first += bounded_[i++].out) {
      weight_.parts(i, 1).multiply(rows_within(input, bounded_[i].input), y.col_range(first, bounded_[i].out),
                                   {bias() == nullptr ? nullptr : bias() + first, {}, false});
    }
  }
  parallel_rows(y.rows, [&](std::size_t r) {
    float* row = y.row(r);
    for (const Bounded& part : bounded_) {
      for (std::size_t i = 0; i < part.out; ++i) row[i] = part.output.clamp(row[i]);
      row += part.out;
    }
  });
}

void Linear::forward_gated(const LayerInput& input, MatrixView<float> y, Activation activation) const {
  if (bounded_.empty()) return weight_.multiply_gated(rows_of(input), y, activation, bias());
  Matrix<float> both(y.rows, 2 * y.cols);
  forward_bounded(input, both.view());
  parallel_rows(y.rows, [&](std::size_t r) {
    simd().activate_gated(activation, both.row(r), both.row(r) + y.cols, y.cols, y.row(r));
  });
}

Linear Linear::part(std::size_t first, std::size_t count) const {
  const PackedMatrix before = weight_.parts(0, first), weight = weight_.parts(first, count);
  std::vector<float> bias;
  if (!bias_.empty()) {
    const auto begin = bias_.begin() + static_cast<std::ptrdiff_t>(before.out());
    bias.assign(begin, begin + static_cast<std::ptrdiff_t>(weight.out()));
  }
  Linear part(weight, std::move(bias));
  if (!bounded_.empty()) {
    const auto begin = bounded_.begin() + static_cast<std::ptrdiff_t>(first);
    part.bounded_.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  return part;
}

}  // namespace mmbatch
