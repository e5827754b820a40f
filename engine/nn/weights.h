#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/threads.h"
#include "engine/kernels/packed_tensor.h"
#include "engine/nn/smoothing.h"
#include "engine/weights/precision.h"
#include "engine/weights/weight_source.h"

namespace mmbatch {

class Calibration;
class Slices;

/// Which dimension of a stored matrix comes first.
enum class WeightOrder { out_in, in_out };

/// A stored matrix as products take it, [out, in].
inline MatrixPart in_order(const TensorView& stored, WeightOrder order) {
  MatrixPart part(stored);
  if (order == WeightOrder::out_in) return part;
  std::swap(part.rows, part.cols);
  std::swap(part.row_step, part.column_step);
  return part;
}

/// Called with every matrix that is packed, under its name: that of the stored tensor, or of the part of one.
using PackedListener =
    std::function<void(const std::string& name, const std::shared_ptr<const PackedTensor>&)>;

/// What quantizing a checkpoint needs beside it; a model that only computes has none of it.
struct WeightHooks {
  PackedListener packed = {};
  Calibration* calibration = nullptr;    // is told of every norm that linear layers read, and what it makes
  const Smoothing* smoothing = nullptr;  // changes norms, and weights before they are rounded
  /// Called with every stored tensor that is packed part by part, each under a name of its own.
  std::function<void(const std::string& name)> divided = {};
};

/// Where a layer's tensors come from, and what its products are to be computed in.
struct Weights {
  // NOLINTNEXTLINE(runtime/explicit): a source alone means float32
  Weights(const WeightSource& source_, Precision precision_ = Precision::f32, WeightHooks hooks_ = {})
      : source(source_), precision(precision_), hooks(std::move(hooks_)) {}

  bool has(const std::string& name) const { return source.has(name); }
  TensorView tensor(const std::string& name, const std::vector<std::size_t>& shape) const {
    const TensorView stored = source.tensor(name, shape);
    return hooks.smoothing != nullptr ? hooks.smoothing->tensor(stored) : stored;
  }
  /// A tensor that some writers store with further dimensions of one before its own.
  TensorView parameter(const std::string& name, const std::vector<std::size_t>& shape) const {
    TensorView stored = source.tensor(name);
    while (stored.shape.size() > shape.size() && stored.shape.front() == 1)
      stored.shape.erase(stored.shape.begin());
    return stored.shape == shape ? stored : tensor(name, shape);
  }
  /// A matrix as products take it, whatever the order that it is stored in. Packed, it is stored as it is
  /// multiplied.
  /// @param shape [out, in]
  MatrixPart matrix(const std::string& name, const std::vector<std::size_t>& shape, WeightOrder order) const {
    if (order == WeightOrder::out_in || source.packed()) return tensor(name, shape);
    return in_order(tensor(name, {shape[1], shape[0]}), order);
  }
  /// A tensor whose rows are read where they lie, one by one, long after loading.
  /// @throws ModelError also where one of its values is not finite
  TensorView table(const std::string& name, const std::vector<std::size_t>& shape) const {
    const TensorView stored = tensor(name, shape);
    constexpr std::size_t kRows = 1024;
    parallel_tiles((stored.rows() + kRows - 1) / kRows, [&](std::size_t block) {
      const std::size_t first = block * kRows;
      check_finite(stored.row_range(first, std::min(kRows, stored.rows() - first)));
    });
    return stored;
  }
  /// The same tensors for products in another precision.
  Weights in(Precision other) const {
    Weights weights = *this;
    weights.precision = other;
    return weights;
  }
  std::shared_ptr<const PackedTensor> pack(const MatrixPart& part) const {
    std::span<const float> factors;
    if (hooks.smoothing != nullptr) factors = hooks.smoothing->factors_of(part.name);
    return told(part, PackedTensor::pack(part, precision, factors));
  }
  /// The same, in Precision::stored, for what has to take rows as groups do.
  std::shared_ptr<const PackedTensor> pack_in_groups(const MatrixPart& part) const {
    return told(part, PackedTensor::pack_in_groups(part));
  }

  /// Says that a stored tensor is needed no more where its parts are packed.
  void divided(const std::string& name) const {
    if (hooks.divided) hooks.divided(name);
  }

  const WeightSource& source;
  Precision precision;
  WeightHooks hooks;
  /// Not null: layers are cut, and this process has some of the slices.
  std::shared_ptr<const Slices> slices = {};

 private:
  std::shared_ptr<const PackedTensor> told(const MatrixPart& part,
                                           std::shared_ptr<const PackedTensor> packed) const {
    if (hooks.packed) hooks.packed(part.name, packed);
    return packed;
  }
};

}  // namespace mmbatch
