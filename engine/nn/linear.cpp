#include "engine/nn/linear.h"

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

/// [rows, cols] in `memory`, which grows when it is too small.
MatrixView<float> scratch_rows(Matrix<float>& memory, std::size_t rows, std::size_t cols) {
  if (memory.cols() < rows * cols) memory = Matrix<float>(1, rows * cols);
  return {memory.data(), rows, cols};
}

}  // namespace

Linear::Linear(const Weights& weights, std::span<const StoredLinear> parts, std::size_t in, Bias bias)
    : fusion_(weights.fusion) {
  std::vector<std::shared_ptr<const PackedTensor>> packed;
  for (const StoredLinear& part : parts) {
    packed.push_back(weights.pack(weights.tensor(part.name + ".weight", {part.out, in})));
    if (bias == Bias::absent) continue;
    const std::vector<float> values = to_floats(weights.tensor(part.name + ".bias", {part.out}));
    bias_.insert(bias_.end(), values.begin(), values.end());
  }
  if (fusion_ == Fusion::on) {
    products_.emplace_back(std::move(packed));
  } else {
    for (auto& part : packed) products_.emplace_back(std::vector{std::move(part)});
  }
}

Linear::Linear(const Weights& weights, const StoredLinear& layer, std::size_t in, Bias bias)
    : Linear(weights, std::span(&layer, 1), in, bias) {}

ProductRows Linear::rows_of(const LayerInput& input) const {
  if (input.norm == nullptr) return {input.x};
  if (fusion_ == Fusion::on && !input.norm->shown())
    return {input.x, [norm = input.norm](const float* row, float* out) { norm->row(row, out); }};
  thread_local Matrix<float> memory;
  const MatrixView<float> normed = scratch_rows(memory, input.x.rows, input.x.cols);
  input.norm->forward(input.x, normed);
  return {normed};
}

void Linear::forward(const LayerInput& input, MatrixView<float> y, const Then& then) const {
  const ProductRows rows = rows_of(input);
  if (fusion_ == Fusion::on) {
    const float* bias = bias_.empty() ? nullptr : bias_.data();
    return products_.front().multiply(rows, y, {bias, then.activation, then.accumulate});
  }
  thread_local Matrix<float> memory;
  const MatrixView<float> result = then.accumulate ? scratch_rows(memory, y.rows, y.cols) : y;
  multiply_apart(rows, result);
  if (then.activation) {
    parallel_rows(y.rows, [&](std::size_t r) {
      simd().finish({nullptr, &*then.activation}, {result.row(r), 0, result.row(r), 0, 1, y.cols});
    });
  }
  if (then.accumulate)
    parallel_rows(y.rows, [&](std::size_t r) { simd().add(y.row(r), result.row(r), y.cols); });
}

void Linear::forward_gated(const LayerInput& input, MatrixView<float> y, Activation activation) const {
  const ProductRows rows = rows_of(input);
  if (fusion_ == Fusion::on) {
    return products_.front().multiply_gated(rows, y, activation, bias_.empty() ? nullptr : bias_.data());
  }
  thread_local Matrix<float> memory;
  const MatrixView<float> both = scratch_rows(memory, y.rows, 2 * y.cols);
  multiply_apart(rows, both);
  parallel_rows(y.rows, [&](std::size_t r) {
    simd().activate_gated(activation, both.row(r), both.row(r) + y.cols, y.cols, y.row(r));
  });
}

void Linear::multiply_apart(const ProductRows& rows, MatrixView<float> y) const {
  std::size_t column = 0;
  for (const PackedMatrix& product : products_) {
    product.multiply(rows, y.col_range(column, product.out()));
    column += product.out();
  }
  if (bias_.empty()) return;
  parallel_rows(y.rows, [&](std::size_t r) { simd().add(y.row(r), bias_.data(), y.cols); });
}

std::size_t Linear::out() const {
  std::size_t total = 0;
  for (const PackedMatrix& product : products_) total += product.out();
  return total;
}

std::size_t Linear::bytes() const {
  std::size_t total = bias_.size() * sizeof(float);
  for (const PackedMatrix& product : products_) total += product.bytes();
  return total;
}

}  // namespace mmbatch
