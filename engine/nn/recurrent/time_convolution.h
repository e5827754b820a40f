#pragma once

#include <vector>

#include "engine/nn/recurrent/recurrent_input.h"
#include "engine/nn/weights.h"

namespace mmbatch {

/// A causal convolution over time, each channel by itself. Its state is what the taps before a token see.
class TimeConvolution {
 public:
  enum class Activated { no, silu };

  TimeConvolution() = default;
  /// Reads `name`.weight, [channels, 1, taps], the last tap the token's own.  @throws ModelError
  TimeConvolution(const Weights& weights, const std::string& name, std::size_t channels, std::size_t taps,
                  Activated activated);

  /// Floats of a sequence's state, [taps - 1, channels].
  std::size_t state_floats() const { return (taps_ - 1) * channels_; }
  /// @param x [rows, channels]   @param y the same   @param spans `before` and `after` are this state's
  void forward(MatrixView<const float> x, MatrixView<float> y, std::span<const RecurrentSpan> spans) const;
  std::size_t bytes() const { return weight_.size() * sizeof(float); }

 private:
  std::size_t channels_ = 0, taps_ = 0;
  Activated activated_ = Activated::no;
  std::vector<float> weight_;  // [taps, channels]
};

}  // namespace mmbatch
