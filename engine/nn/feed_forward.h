#pragma once

#include <string>

#include "engine/nn/linear.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

/// down(act(up(x))), or gated (arXiv 2002.05202): down(act(gate(x)) · up(x)).
enum class FeedForwardKind { plain, gated };

struct FeedForwardConfig {
  std::size_t hidden = 0;
  std::size_t ffn = 0;
  FeedForwardKind kind = FeedForwardKind::gated;
  Activation activation = Activation::silu;
  Bias bias = Bias::absent;
  WeightOrder order = WeightOrder::out_in;
  Bounds bounds = Bounds::absent;  // of gated layers
};

/// Names of the stored parts, without ".weight"; `gate` is not used by the plain kind.
struct FeedForwardNames {
  std::string gate, up, down;
  std::string gate_up = {};  // instead of the two where they are stored as one, gate first
};

class FeedForward {
 public:
  FeedForward() = default;
  FeedForward(const Weights& weights, const FeedForwardConfig& config, const FeedForwardNames& names);

  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const { return in_.bytes() + down_.bytes(); }

 private:
  void forward_stored_as_one(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                             Scratch& scratch) const;

  FeedForwardConfig config_;
  bool stored_as_one_ = false;  // gate and up
  Linear in_;                   // up, or gate and up fused
  Linear down_;
};

}  // namespace mmbatch
