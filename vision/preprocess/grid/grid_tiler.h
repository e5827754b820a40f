#pragma once

#include "vision/preprocess/grid/grid_rule.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {

/// Pixel values of a picture that is cut into a grid of tiles: the tiles row by row, and last the whole
/// picture, squashed to one tile; of a picture that is not cut, itself alone. Const and thread-safe.
class GridTiler {
 public:
  /// @param config a preprocessor_config.json: resample, and the keys of PixelScaling
  /// @param otherwise the filter of a file that names none
  /// @throws ModelError that names file and key, also where a picture could become too many tiles
  GridTiler(const Config& config, const GridRule& rule, Resample otherwise);

  /// @throws ItemError image_too_large for a picture of so extreme a shape that it cannot be resized
  TiledImage apply(const Image& image) const { return apply(image, rule_); }
  /// By another rule for tiles of the same size.
  TiledImage apply(const Image& image, const GridRule& rule) const;

  const GridRule& rule() const { return rule_; }

 private:
  GridRule rule_;
  PixelScaling scaling_;
  Resample resample_;
};

}  // namespace mmbatch
