#pragma once

#include <memory>
#include <span>
#include <vector>

#include "fusion/model_spec.h"
#include "fusion/projector.h"
#include "vision/feature_cache.h"
#include "vision/image.h"
#include "vision/preprocess.h"

namespace mmbatch {

/// An image ready for the encoder: one tile, or several with the grid they were cut by.
struct PixelValues {
  std::vector<Matrix<float>> tiles;  // [3, image_size²] each
  TileGrid grid;
  int width = 0;  // of the picture, in pixels
  int height = 0;
};

/// From picture to rows of the decoder's width: preprocessing, vision encoder, projector. Const and
/// thread-safe.
class ImageStage {
 public:
  /// @throws ModelError
  ImageStage(const Checkpoint& weights, const VisionSpec& spec);

  PixelValues preprocess(const Image& image) const;

  struct Encoded {
    Matrix<float> features;           // [tiles · tokens, vision hidden], of all images
    std::vector<Features> projected;  // [image tokens, hidden], one an image
  };
  /// Encodes images as one batch. An image's rows do not depend on the others.
  Encoded encode(std::span<const PixelValues* const> images, Scratch& scratch) const;

  std::size_t bytes() const { return encoder_.bytes() + projector_.bytes(); }
  const VisionConfig& config() const { return encoder_.config(); }

 private:
  VisionEncoder encoder_;
  Projector projector_;
  std::optional<Preprocessor> preprocessor_;
  std::optional<Tiler> tiler_;  // instead, where the model sees tiles
  std::vector<float> newline_;
};

}  // namespace mmbatch
