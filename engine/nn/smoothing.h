#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/weights/tensor.h"

namespace mmbatch {

/// What is changed in a checkpoint so that activations are easier to round (SmoothQuant, arXiv 2211.10438):
/// a channel that a norm makes is divided by a factor, the weights that read it are multiplied with it. What
/// the model computes stays the same but for rounding.
struct Smoothing {
  /// In place of what is stored under that name: weights and biases of norms, weights that are not packed.
  std::map<std::string, std::vector<float>> tensors;
  std::map<std::string, std::vector<float>> factors;  // by name of the weight that reads: [in]
  std::string made_by;                                // how it came about, for people

  /// What takes the place of a stored tensor: it, or what is here under its name.
  TensorView tensor(const TensorView& stored) const {
    const auto found = tensors.find(stored.name);
    if (found == tensors.end()) return stored;
    return {stored.name, DType::f32, stored.shape, reinterpret_cast<const std::byte*>(found->second.data())};
  }
  /// What the columns of a weight are multiplied with; empty: nothing.
  std::span<const float> factors_of(const std::string& weight) const {
    const auto found = factors.find(weight);
    return found != factors.end() ? std::span<const float>(found->second) : std::span<const float>();
  }
};

}  // namespace mmbatch
