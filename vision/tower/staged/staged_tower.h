#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/grid/convolution.h"
#include "engine/nn/layer.h"
#include "engine/nn/sliced/sliced_channels.h"
#include "vision/tower/encoder.h"

namespace mmbatch {

/// The stages of a tower, or this process's part of them: convolutions whole, the layers of blocks cut into
/// slices where slices divide them. Rank 0 tells the others of each image.
class TowerStages final : public SharedWork {
 public:
  /// @throws ModelError
  TowerStages(Weights weights, const VisionConfig& config, const std::string& prefix);

  /// @param places [image_size², 3]   @return [places of the last stage, width]
  Matrix<float> forward(Matrix<float> places, Scratch& scratch) const;
  void follow(MessageReader& message) const override;
  std::size_t bytes() const override;
  const std::string& name() const { return name_; }

 private:
  /// x + depthwise convolution, x + attention, x + depthwise convolution, x + feed_forward.
  struct Block {
    DepthwiseConvolution before_attention, before_feed_forward;
    Norm attention_norm, feed_forward_norm;
    std::variant<AttentionPart, ChannelAttentionPart> attention;
    FeedForwardPart feed_forward;
  };
  struct Stage {
    Convolution convolution;
    Norm norm;
    StageConfig config;
    std::vector<Block> blocks;
  };

  Block load_block(const Weights& weights, const StageConfig& stage, const std::string& prefix) const;
  Block load_channel_block(const Weights& weights, const StageConfig& stage, const std::string& prefix) const;
  Block load_around(std::variant<AttentionPart, ChannelAttentionPart> attention, const Weights& weights,
                    const StageConfig& stage, const std::string& prefix) const;
  Matrix<float> compute(Matrix<float> places, Scratch& scratch) const;
  void run(const Block& block, Matrix<float>& x, const GridSize& size, Scratch& scratch) const;
  /// Attention in windows, which are filled up with zeros at the right and at the bottom.
  void attend_in_windows(const AttentionPart& attention, MatrixView<const float> normed, MatrixView<float> x,
                         const GridSize& size, Scratch& scratch) const;

  std::string name_;  // a tensor's, which nothing else has
  std::shared_ptr<const Slices> slices_;
  std::size_t image_size_;
  StagedTowerConfig config_;
  std::vector<Stage> stages_;
  mutable Scratch following_;  // of follow(), which one thread calls
};

/// A vision tower in stages (DaViT, arXiv 2204.03645): each begins with a convolution that makes the picture
/// smaller and wider, and goes on with pairs of blocks, one of attention in windows and one between channels.
/// Const and shared after loading; the caller owns the scratch.
class StagedTower {
 public:
  /// @param config whose `staged` is there  @param prefix of the tensor names  @throws ModelError
  StagedTower(const Weights& weights, VisionConfig config, const std::string& prefix);
  /// Another process's part of it; null where it is rank 0's alone.
  static std::shared_ptr<const SharedWork> part(const Weights& weights, const VisionConfig& config,
                                                const std::string& prefix);

  /// @param images each as one patch: its pixel values, plane by plane
  /// @return rows of the last stage, image by image; an image's do not depend on the others
  VisionEncoder::Encoded encode(std::span<const Patches* const> images, Scratch& scratch) const;

  const VisionConfig& config() const { return config_; }
  std::size_t bytes() const { return stages_->bytes(); }

 private:
  VisionConfig config_;
  std::shared_ptr<const TowerStages> stages_;
};

}  // namespace mmbatch
