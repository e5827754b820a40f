#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/kernels/matmul.h"
#include "engine/nn/norm.h"
#include "engine/nn/weights.h"

namespace mmbatch {

/// Whether a layer's tensors include a bias.
enum class Bias { absent, present };

/// Whether a layer keeps what it reads and what it makes within bounds.
enum class Bounds {
  absent,
  stored,  // as numbers: `name`.input_min, .input_max, .output_min and .output_max
};

/// A stored layer: `name`.weight [out, in], or [in, out] where its order says so, and, if present,
/// `name`.bias [out]. With bounds `name`.linear.weight stands for the former.
struct StoredLinear {
  std::string name;
  std::size_t out = 0;
  WeightOrder order = WeightOrder::out_in;
  Bounds bounds = Bounds::absent;

  std::string weight() const { return name + (bounds == Bounds::absent ? ".weight" : ".linear.weight"); }
};

/// The least and the most that numbers may be.
struct ValueRange {
  float least = -std::numeric_limits<float>::infinity();
  float most = std::numeric_limits<float>::infinity();
  bool operator==(const ValueRange&) const = default;

  float clamp(float x) const { return std::min(std::max(x, least), most); }
};

/// The range `name`_min to `name`_max that a checkpoint stores; ends may be infinite.  @throws ModelError
ValueRange stored_range(const Weights& weights, const std::string& name);

/// What a layer reads: rows [rows, in], normalised on their way if there is a norm.
struct LayerInput {
  MatrixView<const float> x;
  const Norm* norm = nullptr;
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
      : weight_(std::move(weight)), bias_(std::move(bias)) {}

  struct Then {
    std::optional<Activation> activation;
    bool accumulate = false;  // y = y + result
  };
  /// @param y [rows, out]
  void forward(const LayerInput& input, MatrixView<float> y, const Then& then) const;
  void forward(const LayerInput& input, MatrixView<float> y) const { forward(input, y, Then{}); }
  void forward(MatrixView<const float> x, MatrixView<float> y, const Then& then) const {
    forward(LayerInput{x}, y, then);
  }
  void forward(MatrixView<const float> x, MatrixView<float> y) const { forward(LayerInput{x}, y, Then{}); }

  /// For two layers fused, gate and up: y = activation(gate(x)) · up(x).  @param y [rows, out / 2]
  void forward_gated(const LayerInput& input, MatrixView<float> y, Activation activation) const;

  /// Some of the layers that are fused here, with the same bits. Shares their weights.
  Linear part(std::size_t first, std::size_t count) const;

  std::size_t out() const { return weight_.out(); }
  std::size_t bytes() const { return bias_.size() * sizeof(float) + weight_.bytes(); }

 private:
  /// A fused layer that keeps its numbers within bounds.
  struct Bounded {
    std::size_t out;
    ValueRange input, output;
  };
  const float* bias() const { return bias_.empty() ? nullptr : bias_.data(); }
  /// y = what the layers make, within their bounds.
  void forward_bounded(const LayerInput& input, MatrixView<float> y) const;

  PackedMatrix weight_;
  std::vector<float> bias_;       // of all parts
  std::vector<Bounded> bounded_;  // of all parts; empty: nothing is bounded
};

}  // namespace mmbatch
