#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/nn/attention_pooling.h"
#include "fusion/model_spec.h"
#include "fusion/projector.h"
#include "vision/image/image.h"
#include "vision/preprocess/preprocess.h"
#include "vision/tower/feature_cache.h"

namespace mmbatch {

/// An image ready for the encoder: one tile, or several with the grid they were cut by.
struct PixelValues {
  std::vector<Matrix<float>> tiles;  // [3, image_size²] each
  TileGrid grid;
  int width = 0;  // of the picture, in pixels
  int height = 0;
};

/// What is missing of, or wrong with, the files that say how images are prepared.  @throws ModelError
void check_preprocessing(const WeightSource& weights, const VisionSpec& spec);

/// From picture to rows of the decoder's width: preprocessing, vision encoder, projector. In a dual encoder
/// to one row, the embedding: a pooling head in place of the projector. Const and thread-safe.
class ImageStage {
 public:
  /// @throws ModelError
  ImageStage(const Weights& weights, const VisionSpec& spec);

  PixelValues preprocess(const Image& image) const;

  struct Encoded {
    Matrix<float> features;           // [tiles · tokens, vision hidden], of all images
    std::vector<Features> projected;  // [image tokens, hidden], or [1, width] of length 1; one an image
  };
  /// Encodes images as one batch. An image's rows do not depend on the others.
  Encoded encode(std::span<const PixelValues* const> images, Scratch& scratch) const;

  std::size_t bytes() const;
  const VisionConfig& config() const { return encoder_.config(); }

 private:
  VisionEncoder encoder_;
  std::optional<Projector> projector_;
  std::optional<AttentionPooling> pooling_;  // instead
  std::optional<Preprocessor> preprocessor_;
  std::optional<Tiler> tiler_;  // instead, where the model sees tiles
  std::vector<float> newline_;
};

}  // namespace mmbatch
