#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/nn/grid/channel_attention.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// Attention between channels, whole, or cut by groups of channels where weights.slices is there and divides
/// them.
class ChannelAttentionPart {
 public:
  /// @throws ModelError
  ChannelAttentionPart(const Weights& weights, const ChannelAttentionConfig& config,
                       const std::string& prefix);

  /// As ChannelAttention::forward(); y is added to.
  void forward(const LayerInput& x, MatrixView<float> y, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  std::shared_ptr<const Slices> slices_;  // null: whole
  std::vector<ChannelAttention> parts_;
};

}  // namespace mmbatch
