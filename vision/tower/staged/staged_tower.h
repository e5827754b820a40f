#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/feed_forward.h"
#include "engine/nn/grid/channel_attention.h"
#include "engine/nn/grid/convolution.h"
#include "engine/nn/self_attention.h"
#include "vision/tower/encoder.h"

namespace mmbatch {

/// A vision tower in stages (DaViT, arXiv 2204.03645): each begins with a convolution that makes the picture
/// smaller and wider, and goes on with pairs of blocks, one of attention in windows and one between channels.
/// Const and shared after loading; the caller owns the scratch.
class StagedTower {
 public:
  /// @param config whose `staged` is there  @param prefix of the tensor names  @throws ModelError
  StagedTower(const Weights& weights, VisionConfig config, const std::string& prefix);

  /// @param images each as one patch: its pixel values, plane by plane
  /// @return rows of the last stage, image by image; an image's do not depend on the others
  VisionEncoder::Encoded encode(std::span<const Patches* const> images, Scratch& scratch) const;

  const VisionConfig& config() const { return config_; }
  std::size_t bytes() const;

 private:
  /// x + depthwise convolution, x + attention, x + depthwise convolution, x + feed_forward.
  struct Block {
    DepthwiseConvolution before_attention, before_feed_forward;
    Norm attention_norm, feed_forward_norm;
    std::variant<SelfAttention, ChannelAttention> attention;
    FeedForward feed_forward;
  };
  struct Stage {
    Convolution convolution;
    Norm norm;
    StageConfig config;
    std::vector<Block> blocks;
  };

  Block load_block(const Weights& weights, const StageConfig& stage, const std::string& prefix) const;
  Block load_channel_block(const Weights& weights, const StageConfig& stage, const std::string& prefix) const;
  void load_shared(const Weights& weights, const StageConfig& stage, const std::string& prefix,
                   Block& block) const;
  void run(const Block& block, Matrix<float>& x, const GridSize& size, Scratch& scratch) const;
  /// Attention in windows, which are filled up with zeros at the right and at the bottom.
  void attend_in_windows(const SelfAttention& attention, MatrixView<const float> normed, MatrixView<float> x,
                         const GridSize& size, Scratch& scratch) const;

  VisionConfig config_;
  std::vector<Stage> stages_;
};

}  // namespace mmbatch
