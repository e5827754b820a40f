#pragma once

#include <cstddef>
#include <string>

#include "engine/nn/sliced/division.h"

namespace mmbatch {

/// Names of the norms that a feed-forward and experts beside it have, without ".weight".
struct ExpertsBesideNames {
  std::string after_dense, before_experts, after_experts;
};

/// A feed-forward that every token goes to and experts, side by side: both read the layer's stream through
/// norms of their own, and the norms of what they make are added.
class ExpertsBeside {
 public:
  struct Config {
    FeedForwardConfig dense;
    MixtureOfExpertsConfig experts;
    NormConfig norm;
  };
  struct Names {
    FeedForwardNames dense;
    MixtureOfExpertsNames experts;
    ExpertsBesideNames norms;
  };
  /// @throws ModelError
  ExpertsBeside(const Weights& weights, const Config& config, const Names& names);

  /// @param x the stream, and the norm that the feed-forward reads it through
  /// @param y [rows, hidden], stored or added to as `then` says; not what is read
  void forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  FeedForwardPart dense_;
  ExpertsPart experts_;
  Norm after_dense_, before_experts_, after_experts_;
};

}  // namespace mmbatch
