#pragma once

#include <span>
#include <variant>
#include <vector>

#include "fusion/image_preparation.h"
#include "fusion/projector.h"
#include "vision/tower/staged/staged_tower.h"

namespace mmbatch {

/// From patches to rows of the decoder's width: vision tower and projector. In a dual encoder to one row, the
/// embedding. Const and thread-safe.
class ImageStage {
 public:
  /// @throws ModelError
  ImageStage(const Weights& weights, const VisionSpec& spec);

  struct Encoded {
    Matrix<float> features;  // [feature rows of all tiles, vision hidden], of all images
    /// One for each image: [its rows in a prompt, width]. With DeepStack what is added behind the decoder's
    /// first layers follows in each row, so that it is as many times wider.
    std::vector<Features> projected;
  };
  /// Encodes images as one batch. An image's rows do not depend on the others.
  Encoded encode(std::span<const PixelValues* const> images, Scratch& scratch) const;

  std::size_t bytes() const;
  const VisionConfig& config() const {
    return std::visit([](const auto& tower) -> const VisionConfig& { return tower.config(); }, tower_);
  }

 private:
  std::variant<VisionEncoder, StagedTower> tower_;
  Projector projector_;
  std::vector<Projector> deepstack_;  // of each of the tower's taps
};

}  // namespace mmbatch
