#pragma once

#include <cstddef>
#include <string>

#include "engine/nn/linear.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

/// What a layer does with the embedding that each token has for it alone, beside the stream (per-layer
/// embeddings): x = x + norm(projection(activation(gate(x)) · embedding)).
struct PerLayerInputConfig {
  std::size_t hidden = 0;
  std::size_t width = 0;  // of a layer's embedding
  Activation activation = Activation::gelu_tanh;
  NormConfig norm;
};

/// Names of the stored parts, without ".weight".
struct PerLayerInputNames {
  std::string gate, projection, norm;
};

class PerLayerInput {
 public:
  /// @throws ModelError
  PerLayerInput(const Weights& weights, const PerLayerInputConfig& config, const PerLayerInputNames& names);

  /// @param embedding [rows, width]   @param x [rows, hidden], in place
  void forward(MatrixView<const float> embedding, MatrixView<float> x, Scratch& scratch) const;
  std::size_t bytes() const { return gate_.bytes() + projection_.bytes(); }

 private:
  Activation activation_;
  Linear gate_, projection_;
  Norm norm_;
};

}  // namespace mmbatch
