#include "engine/nn/linear.h"

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

}  // namespace

Linear::Linear(const Weights& weights, std::span<const StoredLinear> parts, std::size_t in, Bias bias) {
  std::vector<std::shared_ptr<const PackedTensor>> packed;
  for (const StoredLinear& part : parts) {
    packed.push_back(weights.pack(weights.matrix(part.name + ".weight", {part.out, in}, part.order)));
    if (bias == Bias::absent) continue;
    const std::vector<float> values = to_floats(weights.tensor(part.name + ".bias", {part.out}));
    bias_.insert(bias_.end(), values.begin(), values.end());
  }
  weight_ = PackedMatrix(std::move(packed));
}

Linear::Linear(const Weights& weights, const StoredLinear& layer, std::size_t in, Bias bias)
    : Linear(weights, std::span(&layer, 1), in, bias) {}

void Linear::forward(const LayerInput& input, MatrixView<float> y, const Then& then) const {
  weight_.multiply(rows_of(input), y, {bias(), then.activation, then.accumulate});
}

void Linear::forward_gated(const LayerInput& input, MatrixView<float> y, Activation activation) const {
  weight_.multiply_gated(rows_of(input), y, activation, bias());
}

Linear Linear::part(std::size_t first, std::size_t count) const {
  const PackedMatrix before = weight_.parts(0, first), weight = weight_.parts(first, count);
  std::vector<float> bias;
  if (!bias_.empty()) {
    const auto begin = bias_.begin() + static_cast<std::ptrdiff_t>(before.out());
    bias.assign(begin, begin + static_cast<std::ptrdiff_t>(weight.out()));
  }
  return Linear(weight, std::move(bias));
}

}  // namespace mmbatch
