#pragma once

#include "engine/base/config.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {

/// How a tower takes pictures of any size up to a longest edge: in patches, in rows of them, of which `merge`
/// beside and below each other become one row of features in the end.
struct EdgeGeometry {
  int patch_size = 16;
  int merge = 1;

  int unit() const { return patch_size * merge; }
};

/// From a picture to patches where every picture keeps its own shape: made smaller where its longer side is
/// above the longest edge, never larger, then brought to whole units. Const and thread-safe.
class EdgePreprocessor {
 public:
  /// From a preprocessor_config.json: size ({"longest_edge"}), resample (bicubic), patch_size (one number or
  /// {"height", "width"}), which must be that of the tower, and the keys of PixelScaling.
  /// @throws ModelError that names file and key
  EdgePreprocessor(const Config& config, const EdgeGeometry& tower);

  /// Rows and columns of patches of a picture of this size.
  /// @throws ItemError image_too_large for a picture so narrow that nothing of its width would be left
  PatchGrid grid(int width, int height) const;
  /// @return patches row by row  @throws ItemError as grid()
  Patches apply(const Image& image) const;
  /// Patches of any picture at most.
  PatchGrid most() const;

 private:
  ResizedSize size_of(int width, int height) const;

  EdgeGeometry geometry_;
  PixelScaling scaling_;
  Resample resample_ = Resample::bicubic;
  int longest_edge_ = 0;
};

}  // namespace mmbatch
