#pragma once

#include <span>

#include "engine/base/config.h"
#include "vision/preprocess/budget/smart_resize.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {

/// In which order a tower gets the patches of a picture.
enum class PatchRows {
  by_block,  // block by block, row by row of them and in each
  by_row,    // row by row of the picture
};

/// How a tower takes pictures of any size: in patches, and these in square blocks of merge · merge, each of
/// which becomes one row in the end.
struct BlockGeometry {
  int patch_size = 14;
  int merge = 2;
  int frames = 2;              // that a patch spans; a picture is as many equal frames
  int frames_unless_said = 2;  // by a file without temporal_patch_size
  int side_unless_said = 14;   // by a file without patch_size
  PatchRows rows = PatchRows::by_block;
  ShortSides short_sides = ShortSides::rounded;
  int counted_frames = 1;   // so many times a picture's pixels count against the budget
  PixelBudget budget = {};  // where the file does not say

  int unit() const { return patch_size * merge; }
  ResizeRule rule() const { return {unit(), counted_frames, short_sides}; }
  bool operator==(const BlockGeometry&) const = default;
};

/// From a picture to patches where every picture keeps its own shape: resized within a budget of pixels,
/// rescaled and normalised, cut into patches block by block. Const and thread-safe.
class BlockPreprocessor {
 public:
  /// From a preprocessor_config.json: min_pixels and max_pixels, else size ({"shortest_edge",
  /// "longest_edge"} or {"min_pixels", "max_pixels"}, which count pixels); resample (bicubic); patch_size
  /// (14), merge_size (2) and temporal_patch_size (2), which must be those of the tower; and the keys of
  /// PixelScaling.
  /// @throws ModelError that names file and key
  BlockPreprocessor(const Config& config, const BlockGeometry& tower);

  /// What the checkpoint's file allows; a picture's pixels count geometry().counted_frames times.
  const PixelBudget& budget() const { return budget_; }
  const BlockGeometry& geometry() const { return geometry_; }
  /// Rows and columns of patches of a picture of this size.  @throws ItemError as smart_resize()
  PatchGrid grid(int width, int height, const PixelBudget& budget) const;
  /// @return patches in the order of geometry().rows
  /// @throws ItemError as smart_resize()
  Patches apply(const Image& image, const PixelBudget& budget) const;

  /// The same of frames of a video, which are resized by a rule of their own.
  PatchGrid grid(int width, int height, const ResizeRule& rule, const PixelBudget& budget) const;
  /// Each patch has the values of all frames: by channel, then frame by frame.
  /// @param frames geometry().frames of equal size  @throws ItemError as smart_resize()
  Patches apply(std::span<const Image> frames, const ResizeRule& rule, const PixelBudget& budget) const;

  static constexpr std::int64_t kMostPixels = Preprocessor::kMostPixels;  // of a budget

 private:
  void read_budget(const Config& config);
  Patches cut(MatrixView<const float> pixels, std::int64_t width) const;

  BlockGeometry geometry_;
  PixelScaling scaling_;
  Resample resample_ = Resample::bicubic;
  PixelBudget budget_;
};

/// Cuts pixel values into patches of side · side pixels, in square blocks of merge · merge patches one after
/// another; in a patch by channel, then by row. Both sides are multiples of merge · side.
/// @param pixels [channels, height · width]
Patches cut_into_blocks(MatrixView<const float> pixels, std::size_t width, std::size_t side,
                        std::size_t merge);

}  // namespace mmbatch
