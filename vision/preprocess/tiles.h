#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/matrix.h"
#include "vision/image/image.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {

/// A size in pixels to which a picture may be enlarged before it is cut into tiles.
struct GridPinpoint {
  int width = 0;
  int height = 0;
};

/// The list of [height, width] pairs below `key`; empty when the key is absent.
/// @throws ModelError for what is not such a list.
std::vector<GridPinpoint> read_grid_pinpoints(const Config& config, const std::string& key);

/// Tiles that a picture may become at most.
constexpr std::size_t kMaxTiles = 257;

/// Whether a picture that is cut into tiles is seen as a whole too.
enum class WholePicture { beside_tiles, left_out };

/// How a picture is cut: rows · columns tiles, row by row, and beside them, before the first or behind the
/// last, the whole picture.
struct TileGrid {
  int rows = 0;  // 0: it is not cut
  int columns = 0;
  WholePicture whole = WholePicture::beside_tiles;

  bool has_whole() const { return rows == 0 || whole == WholePicture::beside_tiles; }
  int tiles() const { return rows * columns + (has_whole() ? 1 : 0); }
};

struct TiledImage {
  std::vector<Matrix<float>> tiles;  // pixel values, [3, tile_size · tile_size] each
  TileGrid grid;
  int width = 0;  // of the original picture, whose aspect tells padding from picture
  int height = 0;
};

/// Why a file's largest number of tiles, `size` pixels a side, is refused: together they would have more than
/// Preprocessor::kMostPixels.
std::string too_many_pixels(std::size_t tiles, int size);

/// The square of `size` pixels with this corner.
Image cut_tile(const Image& image, int left, int top, int size);

/// Pixel values of a picture at several resolutions: as a whole, and enlarged to the best-fitting of some
/// grid pinpoints and cut into tiles. The rules are those of the Hugging Face image processor that introduced
/// image_grid_pinpoints (transformers 4.46, with the odd row of the padding kept). Const and thread-safe.
class Tiler {
 public:
  /// @param config a preprocessor_config.json: resample, crop_size (the tile's size; square), size (a
  /// shortest edge or square of the same size), and the keys of PixelScaling.
  /// @param pinpoints at least one; both sides multiples of the tile's size.
  /// @throws ModelError that names file and key.
  Tiler(const Config& config, std::vector<GridPinpoint> pinpoints,
        ResizeBackend backend = ResizeBackend::pillow_12);

  int tile_size() const { return tile_size_; }
  const std::vector<GridPinpoint>& pinpoints() const { return pinpoints_; }
  TileGrid grid_of(const GridPinpoint& pinpoint) const {
    return {pinpoint.height / tile_size_, pinpoint.width / tile_size_};
  }
  /// How a picture of this size (pixels) will be cut.
  TileGrid grid(int width, int height) const { return grid(width, height, pinpoints_); }
  TileGrid grid(int width, int height, std::span<const GridPinpoint> allowed) const;
  /// @throws ItemError image_too_large for a picture of so extreme a shape that it cannot be resized.
  TiledImage apply(const Image& image) const { return apply(image, pinpoints_); }
  /// @param allowed of the pinpoints, at least one
  TiledImage apply(const Image& image, std::span<const GridPinpoint> allowed) const;

  /// The pinpoint picture itself before it is cut: resized keeping its aspect, with black on both sides.
  Image padded(const Image& image) const { return padded(image, pinpoints_); }

 private:
  Image padded(const Image& image, std::span<const GridPinpoint> allowed) const;

  Preprocessor preprocessor_;
  std::vector<GridPinpoint> pinpoints_;
  int tile_size_ = 0;
};

}  // namespace mmbatch
