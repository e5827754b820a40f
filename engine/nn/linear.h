#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/kernels/matmul.h"
#include "engine/nn/weights.h"

namespace mmbatch {

/// Whether a layer's tensors include a bias.
enum class Bias { absent, present };

/// A stored layer: `name`.weight [out, in] and, if present, `name`.bias [out].
struct StoredLinear {
  std::string name;
  std::size_t out = 0;
};

/// y = x · Wᵀ + b.
class Linear {
 public:
  Linear() = default;
  /// One layer, or several that read the same input, fused to one product.
  /// @throws ModelError when a tensor is missing or has another shape.
  Linear(const Weights& weights, std::span<const StoredLinear> parts, std::size_t in, Bias bias);
  Linear(const Weights& weights, const StoredLinear& layer, std::size_t in, Bias bias);
  /// @param bias [out], or empty
  explicit Linear(PackedMatrix weight, std::vector<float> bias = {})
      : products_{std::move(weight)}, bias_(std::move(bias)) {}

  struct Then {
    std::optional<Activation> activation;
    bool accumulate = false;  // y = y + result
  };
  /// @param x [rows, in]  @param y [rows, out]
  void forward(MatrixView<const float> x, MatrixView<float> y, const Then& then) const;
  void forward(MatrixView<const float> x, MatrixView<float> y) const { forward(x, y, Then{}); }

  /// For two layers fused, gate and up: y = activation(gate(x)) · up(x).  @param y [rows, out / 2]
  void forward_gated(MatrixView<const float> x, MatrixView<float> y, Activation activation) const;

  std::size_t out() const;
  std::size_t bytes() const;

 private:
  /// y = x · Wᵀ + b, part after part.
  void multiply_apart(MatrixView<const float> x, MatrixView<float> y) const;

  Fusion fusion_ = Fusion::on;
  std::vector<PackedMatrix> products_;  // one where fused
  std::vector<float> bias_;             // of all parts
};

}  // namespace mmbatch
