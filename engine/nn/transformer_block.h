#pragma once

#include <string>

#include "engine/nn/feed_forward.h"
#include "engine/nn/norm.h"
#include "engine/nn/self_attention.h"

namespace mmbatch {

/// Norms before each half-block, or before and after it.
enum class NormPlacement { before, before_and_after };

struct BlockConfig {
  SelfAttentionConfig attention;
  FeedForwardConfig feed_forward;
  NormConfig norm;
  NormPlacement placement = NormPlacement::before;
};

/// Full names of a block's stored layers; the `after_…` norms only for before_and_after.
struct BlockNames {
  SelfAttentionNames attention;
  FeedForwardNames feed_forward;
  std::string before_attention, after_attention, before_feed_forward, after_feed_forward;
};

/// x = x + attention(norm(x)); x = x + feed_forward(norm(x)). The block of the vision encoder, the text
/// encoder and the decoder alike.
class TransformerBlock {
 public:
  TransformerBlock(const Weights& weights, const BlockConfig& config, const BlockNames& names);

  /// @param x [rows, hidden], in place
  void forward(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const;
  std::size_t bytes() const { return attention_.bytes() + feed_forward_.bytes(); }

 private:
  /// Tells the calibration which layers read which norm, and lets it see what the norms make.
  void show_norms(const Weights& weights, const BlockConfig& config, const BlockNames& names);

  NormPlacement placement_;
  Norm before_attention_, after_attention_, before_feed_forward_, after_feed_forward_;
  SelfAttention attention_;
  FeedForward feed_forward_;
};

}  // namespace mmbatch
