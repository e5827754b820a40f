#include "engine/nn/linear.h"

namespace mmbatch {

Linear::Linear(const Checkpoint& weights, std::span<const StoredLinear> parts, std::size_t in, Bias bias) {
  std::vector<TensorView> tensors;
  for (const StoredLinear& part : parts) {
    tensors.push_back(weights.tensor(part.name + ".weight", {part.out, in}));
    if (bias == Bias::absent) continue;
    const std::vector<float> values = to_floats(weights.tensor(part.name + ".bias", {part.out}));
    bias_.insert(bias_.end(), values.begin(), values.end());
  }
  weight_ = PackedMatrix::pack(tensors);
}

Linear::Linear(const Checkpoint& weights, const StoredLinear& layer, std::size_t in, Bias bias)
    : Linear(weights, std::span(&layer, 1), in, bias) {}

void Linear::forward(MatrixView<const float> x, MatrixView<float> y, const Then& then) const {
  weight_.multiply(x, y, {bias_.empty() ? nullptr : bias_.data(), then.activation, then.accumulate});
}

}  // namespace mmbatch
