#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/matrix.h"
#include "vision/image/image.h"
#include "vision/preprocess/resize.h"

namespace mmbatch {

/// From 8-bit samples to what a vision encoder takes: rescale_factor · sample, then (x - mean) / std per
/// channel, each step rounded to float32 as Hugging Face's image_transforms.py does. A table of 256 values a
/// channel holds every result there can be.
class PixelScaling {
 public:
  /// From a preprocessor_config.json: do_rescale (true), rescale_factor (1/255), do_normalize (true),
  /// image_mean and image_std (three numbers each, or one that stands for three).
  /// @throws ModelError that names file and key, also for numbers that no samples have, such as a deviation
  /// of 0 or below.
  explicit PixelScaling(const Config& config);

  /// [3, height · width]: one row per channel, red first.
  Matrix<float> apply(const Image& image) const;
  /// The value of one sample of a channel (0 … 2).
  float value(std::size_t channel, std::uint8_t sample) const { return table_[channel][sample]; }

 private:
  std::array<std::array<float, 256>, 3> table_;
};

/// Holds a size to the forms that an image processor's class takes: what it says otherwise, nobody would
/// follow.
/// @param key of an object, or absent.  @param taken its members
/// @throws ModelError for one that has others, but null, or is no object
void check_size_keys(const Config& config, const std::string& key,
                     std::initializer_list<std::string_view> taken);

/// What `do_pad` does to a picture, which depends on the image processor: unknown, padding to a square in the
/// colour of image_mean, or nothing, because it is the batch of tiles that is padded.
enum class Padding { unsupported, to_square, of_the_batch };

/// The published steps from a picture to pixel values: pad to a square, resize, centre crop, rescale,
/// normalise. Const and thread-safe.
class Preprocessor {
 public:
  /// From a preprocessor_config.json: do_resize (true), size ({"shortest_edge"}, {"height", "width"} or, in
  /// old files, one number), resample (`otherwise`), do_center_crop (true where there is a crop_size),
  /// crop_size ({"height", "width"} or one number), do_pad (false), and the keys of PixelScaling. A lone
  /// number for size means the shortest edge where the picture is cropped afterwards, and else both sides.
  /// Other keys are ignored.
  /// @throws ModelError that names file and key for values that are missing, ill-typed or out of range, and
  /// where pictures would come out at different sizes.
  explicit Preprocessor(const Config& config, Padding padding = Padding::unsupported,
                        ResizeBackend backend = ResizeBackend::pillow_12,
                        Resample otherwise = Resample::bicubic);

  int output_width() const { return output_.width; }
  int output_height() const { return output_.height; }

  /// `image` resized and cropped to [output_height, output_width, 3], bit-equal to Pillow and Hugging Face.
  /// What a crop larger than the picture leaves over is black.
  /// @throws ItemError image_too_large for a picture of so extreme a shape that it cannot be resized, or with
  /// a side above kMaxPaddedSide where it has to be padded.
  Image fit(const Image& image) const;

  /// The pixel_values of `image`: [3, output_height · output_width].
  Matrix<float> pixel_values(const Image& image) const { return scaling_.apply(fit(image)); }

  const PixelScaling& scaling() const { return scaling_; }
  Resampling resampling() const { return resampling_; }

  static constexpr int kMaxSide = 4096;        // of any size in the file
  static constexpr int kMaxPaddedSide = 9216;  // of a picture that is padded to a square
  /// Of all that one picture may become.
  static constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;

 private:
  struct Sides {
    int width = 0;
    int height = 0;
  };
  static Sides read_sides(const Config& config, const std::string& key);
  void read_size(const Config& config);
  void read_padding(const Config& config, Padding padding);
  Image padded(const Image& image) const;
  Image fit_to_size(const Image& image) const;
  ResizedSize resized_size(const Image& image) const;

  PixelScaling scaling_;
  Resampling resampling_;
  std::optional<std::array<std::uint8_t, 3>> background_;  // pad with it to a square
  std::optional<int> shortest_edge_;                       // resize to it, keeping the aspect
  std::optional<Sides> exact_size_;                        // resize to it; at most one of the two
  std::optional<Sides> crop_;
  Sides output_;
};

}  // namespace mmbatch
