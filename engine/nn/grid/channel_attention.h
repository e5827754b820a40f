#pragma once

#include <string>

#include "engine/nn/linear.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

struct ChannelAttentionConfig {
  std::size_t hidden = 0;
  std::size_t groups = 1;
  Bias bias = Bias::present;   // of the query, key and value projections
  std::size_t own_groups = 0;  // those that are computed; 0: all

  std::size_t group_width() const { return hidden / groups; }
  std::size_t computed() const { return own_groups == 0 ? groups : own_groups; }
  /// Channels of the groups that are computed.
  std::size_t width() const { return computed() * group_width(); }
};

/// Attention between channels instead of places (arXiv 2204.03645): within a group each channel's query,
/// which is as long as there are places, meets every channel's key; scores are divided by √places.
class ChannelAttention {
 public:
  ChannelAttention() = default;
  /// Reads `prefix`qkv and `prefix`proj.  @throws ModelError
  ChannelAttention(const Weights& weights, const ChannelAttentionConfig& config, const std::string& prefix);

  /// @param x all places of one picture, [places, hidden], normalised on their way
  /// @param y [places, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then) const;
  std::size_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  /// What each channel of a group takes of each: [from, to] for every group.
  Matrix<float> shares(MatrixView<const float> qkv) const;

  ChannelAttentionConfig config_;
  Linear qkv_, output_;
};

}  // namespace mmbatch
