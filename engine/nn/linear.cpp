#include "engine/nn/linear.h"

namespace mmbatch {

Linear::Linear(const Weights& weights, std::span<const StoredLinear> parts, std::size_t in, Bias bias) {
  std::vector<std::shared_ptr<const PackedTensor>> packed;
  for (const StoredLinear& part : parts) {
    packed.push_back(weights.pack(weights.tensor(part.name + ".weight", {part.out, in})));
    if (bias == Bias::absent) continue;
    const std::vector<float> values = to_floats(weights.tensor(part.name + ".bias", {part.out}));
    bias_.insert(bias_.end(), values.begin(), values.end());
  }
  weight_ = PackedMatrix(std::move(packed));
}

Linear::Linear(const Weights& weights, const StoredLinear& layer, std::size_t in, Bias bias)
    : Linear(weights, std::span(&layer, 1), in, bias) {}

void Linear::forward(MatrixView<const float> x, MatrixView<float> y, const Then& then) const {
  weight_.multiply(x, y, {bias_.empty() ? nullptr : bias_.data(), then.activation, then.accumulate});
}

void Linear::forward_gated(MatrixView<const float> x, MatrixView<float> y, Activation activation) const {
  weight_.multiply_gated(x, y, activation, bias_.empty() ? nullptr : bias_.data());
}

}  // namespace mmbatch
