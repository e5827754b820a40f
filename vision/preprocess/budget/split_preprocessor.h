#pragma once

#include <vector>

#include "engine/base/config.h"
#include "vision/preprocess/budget/smart_resize.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/preprocess.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// How a tower takes pictures of any size: in patches, row by row, of which merge · merge beside and below
/// each other become one row of features in the end.
struct SplitGeometry {
  int patch_size = 16;
  int merge = 2;

  int unit() const { return patch_size * merge; }
};

/// What a picture may become.
struct SplitBudget {
  PixelBudget whole;   // the picture in its own shape
  int most_tiles = 0;  // of a large one; fewer than the file's least: none is cut
};

/// How a picture is brought to the tower.
struct SplitPlan {
  TileGrid grid;      // 0 x 0: it is not cut
  ResizedSize tiled;  // what it is resized to before it is cut
  ResizedSize whole;  // its own shape, or that of one tile
};

/// From a picture to patches where small pictures keep their own shape within a budget of pixels, and large
/// ones are cut into tiles, behind which the whole follows in its own shape. Const and thread-safe.
class SplitPreprocessor {
 public:
  /// From a preprocessor_config.json: min_image_tokens (64), max_image_tokens (256), max_pixels_tolerance
  /// (2), do_image_splitting (true), min_tiles (2), max_tiles (10), tile_size (512), use_thumbnail (true),
  /// resample (bilinear), encoder_patch_size (16) and downsample_factor (2), which must be those of the
  /// tower, and the keys of PixelScaling.
  /// @throws ModelError that names file and key
  SplitPreprocessor(const Config& config, const SplitGeometry& tower);

  const SplitGeometry& geometry() const { return geometry_; }
  /// What the checkpoint's file allows.
  const SplitBudget& budget() const { return budget_; }
  /// Pixels of a tile.
  std::int64_t tile_pixels() const { return std::int64_t{tile_} * tile_; }
  /// Rows of features that any picture becomes at most.
  std::size_t most_rows() const;
  PatchGrid tile_grid() const { return grid_of({tile_, tile_}); }
  PatchGrid grid_of(const ResizedSize& size) const;

  /// @throws ItemError as smart_resize()
  SplitPlan plan(int width, int height, const SplitBudget& budget) const;
  /// @return the tiles row by row and the whole, or the picture alone  @throws ItemError as smart_resize()
  std::vector<Patches> apply(const Image& image, const SplitPlan& plan) const;

 private:
  void read_tiles(const Config& config);
  bool is_large(int width, int height) const;

  SplitGeometry geometry_;
  PixelScaling scaling_;
  Resample resample_ = Resample::bilinear;
  SplitBudget budget_;
  double most_uncut_ = 0;  // pixels
  int tile_ = 0;           // side of a tile, in pixels
  std::vector<TileGrid> grids_;
  WholePicture whole_ = WholePicture::beside_tiles;
};

}  // namespace mmbatch
