#include "engine/nn/sliced/sliced_channels.h"

#include "engine/nn/sliced/parts.h"

namespace mmbatch {
namespace {

constexpr Linear::Then kAdd{.activation = {}, .accumulate = true};

}  // namespace

ChannelAttentionPart::ChannelAttentionPart(const Weights& weights, const ChannelAttentionConfig& config,
                                           const std::string& prefix) {
  if (!weights.slices || config.groups % weights.slices->count() != 0) {
    parts_.emplace_back(weights, config, prefix);
    return;
  }
  slices_ = weights.slices;
  parts_ = make_parts<ChannelAttention>(
      weights,
      [&](SlicedWeights& source, SliceOf slice) { source.add_channel_attention(config, prefix, slice); },
      [&](const Weights& own, SliceOf slice) {
        return ChannelAttention(own, slice_of(config, slice), prefix);
      });
}

void ChannelAttentionPart::forward(const LayerInput& x, MatrixView<float> y, Scratch& scratch) const {
  if (!slices_) return parts_.front().forward(x, y, kAdd);
  sum_of_parts(*slices_, y, kAdd, scratch,
               [&](std::size_t i, MatrixView<float> made) { parts_[i].forward(x, made, {}); });
}

std::size_t ChannelAttentionPart::bytes() const {
  return bytes_of(parts_);
}

}  // namespace mmbatch
