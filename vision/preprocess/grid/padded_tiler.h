#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/config.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/preprocess.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// From a picture to patches where large pictures are cut into the grid of tiles whose aspect is nearest, and
/// every picture is seen as a whole behind its tiles, padded to a square of another size. Const and
/// thread-safe.
class PaddedTiler {
 public:
  /// From a preprocessor_config.json: size ({"height", "width"}, 1024: the whole), tile_size (768),
  /// min_patches (2) and max_patches (6), crop_to_patches (true), background_color (127, 127, 127), resample
  /// (bicubic), and the keys of PixelScaling.
  /// @param patch_size both sizes are multiples of it  @throws ModelError that names file and key
  PaddedTiler(const Config& config, std::size_t patch_size);

  /// Sides of the whole and of a tile, in pixels.
  int whole_size() const { return whole_; }
  int tile_size() const { return tile_; }
  PatchGrid patches_of(int size) const;
  TileGrid grid(int width, int height) const;
  int most_tiles() const { return most_; }
  /// @return the tiles row by row and the whole
  /// @throws ItemError image_too_large for a picture so narrow that nothing of its width would be left
  std::vector<Patches> apply(const Image& image) const;

 private:
  Image padded(const Image& image) const;

  std::size_t patch_size_;
  PixelScaling scaling_;
  Resample resample_ = Resample::bicubic;
  std::array<std::uint8_t, 3> background_ = {127, 127, 127};
  int whole_ = 0, tile_ = 0;
  int most_ = 0;  // tiles of a picture; 0: none is cut
  std::vector<TileGrid> grids_;
};

}  // namespace mmbatch
