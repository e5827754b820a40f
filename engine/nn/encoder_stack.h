#pragma once

#include <string>
#include <vector>

#include "engine/nn/transformer_block.h"

namespace mmbatch {

/// The blocks of an encoder, without a cache: all rows of a sequence see each other. Vision and text encoders
/// name their tensors alike.
class EncoderStack {
 public:
  /// @param prefix of the tensors' names: what stands before "encoder.layers.0."  @throws ModelError
  EncoderStack(const Weights& weights, const BlockConfig& block, std::size_t layers,
               const std::string& prefix);

  /// @param x [sequences · rows, hidden], in place   @param rows of one sequence
  void forward(MatrixView<float> x, std::size_t rows, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  void forward_some(MatrixView<float> x, std::size_t rows, Scratch& scratch) const;

  std::vector<TransformerBlock> blocks_;
};

}  // namespace mmbatch
