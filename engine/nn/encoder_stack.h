#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/nn/layer.h"

namespace mmbatch {

/// The layers of an encoder, all alike, without a cache: all rows of a sequence see each other.
class EncoderStack {
 public:
  /// @param names pattern of the tensors' names  @throws ModelError
  EncoderStack(const Weights& weights, const LayerConfig& layer, std::size_t layers, const LayerNames& names);

  /// @param x [sum of rows, hidden], in place   @param rows of each sequence
  void forward(MatrixView<float> x, std::span<const std::size_t> rows, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  void forward_some(MatrixView<float> x, std::span<const std::size_t> rows, Scratch& scratch) const;

  std::vector<Layer> layers_;
};

}  // namespace mmbatch
