#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/checkpoint.h"
#include "engine/base/precision.h"
#include "engine/kernels/packed_tensor.h"

namespace mmbatch {

/// Called with every tensor that is packed, under its stored name.
using PackedListener =
    std::function<void(const std::string& name, const std::shared_ptr<const PackedTensor>&)>;

/// Whether products that read the same rows are one, and what follows a product happens while its tile is in
/// the cache; or everything is a pass of its own over memory, with the same bits, to measure what fusion
/// brings.
enum class Fusion { on, off };

/// Where a layer's tensors come from, and what its products are to be computed in.
struct Weights {
  // NOLINTNEXTLINE(runtime/explicit): a checkpoint alone means float32
  Weights(const Checkpoint& checkpoint_, Precision precision_ = Precision::f32)
      : checkpoint(checkpoint_), precision(precision_) {}

  bool has(const std::string& name) const { return checkpoint.has(name); }
  TensorView tensor(const std::string& name, const std::vector<std::size_t>& shape) const {
    return checkpoint.tensor(name, shape);
  }
  /// The same tensors for products in another precision.
  Weights in(Precision other) const {
    Weights weights = *this;
    weights.precision = other;
    return weights;
  }
  std::shared_ptr<const PackedTensor> pack(const TensorView& tensor) const {
    auto packed = PackedTensor::pack(tensor, precision);
    if (listener) listener(tensor.name, packed);
    return packed;
  }

  const Checkpoint& checkpoint;
  Precision precision;
  PackedListener listener;
  Fusion fusion = Fusion::on;
};

}  // namespace mmbatch
