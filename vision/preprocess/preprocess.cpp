#include "vision/preprocess/preprocess.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr Config::Range kSide{1, Preprocessor::kMaxSide};

/// What a mean or a deviation of samples may be: they are shares of 1, or of 255 where nothing is rescaled.
constexpr double kLargest = 1000.0;
constexpr double kLeastDeviation = 1e-4;

/// Three numbers in a range; one number stands for three.
std::vector<double> read_channels(const Config& config, const std::string& key, double least) {
  if (!config.has(key)) config.fail(key, "missing, and do_normalize is not false");
  std::vector<double> values =
      config.child(key).is_number() ? std::vector<double>(3, config.number(key, 0)) : config.numbers(key);
  if (values.size() != 3) config.fail(key, fmt::format("expected three numbers, found {}", values.size()));
  for (const double value : values) {
    if (!(value >= least && value <= kLargest))
      config.fail(key, fmt::format("expected numbers from {} to {}, found {}", least, kLargest, value));
  }
  return values;
}

/// Where `wanted` samples about the centre of `available` lie, as Hugging Face's center_crop() puts them.
struct Crop {
  std::int64_t from = 0;  // first sample of the picture that is taken
  int to = 0;             // where it comes to lie
  int count = 0;
};

Crop center_crop(std::int64_t available, int wanted) {
  if (available >= wanted) return {(available - wanted) / 2, 0, wanted};
  const int missing = wanted - static_cast<int>(available);
  return {0, (missing + 1) / 2, static_cast<int>(available)};
}

}  // namespace

void check_size_keys(const Config& config, const std::string& key,
                     std::initializer_list<std::string_view> taken) {
  const Config size = config.object(key);
  for (const auto& [member, value] : size.members()) {
    if (!size.has(member) || std::find(taken.begin(), taken.end(), member) != taken.end()) continue;
    size.fail(member, fmt::format("not taken by the image processor of this model, whose {} has {}", key,
                                  fmt::join(taken, ", ")));
  }
}

PixelScaling::PixelScaling(const Config& config) {
  const bool rescales = config.flag("do_rescale", true);
  const double factor = config.number("rescale_factor", 1.0 / 255.0);
  if (rescales && !(factor >= 1e-6 && factor <= 1.0)) {
    config.fail("rescale_factor",
                fmt::format("expected a number from 1e-06 to 1, such as 1/255, found {}", factor));
  }
  const bool normalizes = config.flag("do_normalize", true);
  std::vector<double> mean(3, 0.0);
  std::vector<double> deviation(3, 1.0);
  if (normalizes) {
    mean = read_channels(config, "image_mean", -kLargest);
    deviation = read_channels(config, "image_std", kLeastDeviation);
  }
  for (std::size_t channel = 0; channel < table_.size(); ++channel) {
    for (std::size_t sample = 0; sample < table_[channel].size(); ++sample) {
      // The product in double, then everything in float32: numpy's arithmetic there.
      const auto whole = static_cast<double>(sample);
      const auto scaled = static_cast<float>(rescales ? whole * factor : whole);
      table_[channel][sample] =
          normalizes ? (scaled - static_cast<float>(mean[channel])) / static_cast<float>(deviation[channel])
                     : scaled;
    }
  }
}

Matrix<float> PixelScaling::apply(const Image& image) const {
  const std::size_t pixels = image.rgb.size() / 3;
  Matrix<float> out(3, pixels);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const std::array<float, 256>& table = table_[channel];
    const std::uint8_t* sample = image.rgb.data() + channel;
    float* row = out.row(channel);
    for (std::size_t i = 0; i < pixels; ++i) row[i] = table[sample[3 * i]];
  }
  return out;
}

Preprocessor::Sides Preprocessor::read_sides(const Config& config, const std::string& key) {
  if (config.child(key).is_integer()) {
    const int side = static_cast<int>(config.integer(key, 0, kSide));
    return {side, side};
  }
  const Config sides = config.child(key);
  if (!sides.is_object() || !sides.has("height") || !sides.has("width")) {
    config.fail(key, "expected a number or an object with height and width");
  }
  return {static_cast<int>(sides.integer("width", 0, kSide)),
          static_cast<int>(sides.integer("height", 0, kSide))};
}

void Preprocessor::read_size(const Config& config) {
  if (!config.has("size")) config.fail("size", "missing, and do_resize is not false");
  const Config size = config.child("size");
  if (size.is_object() && size.has("shortest_edge")) {
    if (size.has("longest_edge")) config.fail("size", "longest_edge is not supported");
    shortest_edge_ = static_cast<int>(size.integer("shortest_edge", 0, kSide));
  } else if (size.is_integer() && crop_) {
    shortest_edge_ = static_cast<int>(config.integer("size", 0, kSide));
  } else {
    exact_size_ = read_sides(config, "size");
  }
}

void Preprocessor::read_padding(const Config& config, Padding padding) {
  if (padding == Padding::of_the_batch || !config.flag("do_pad", false)) return;
  if (padding == Padding::unsupported)
    config.fail("do_pad", "true is not supported with this image_processor_type, or without one");
  std::array<std::uint8_t, 3>& colour = background_.emplace();
  const std::vector<double> mean = read_channels(config, "image_mean", 0.0);
  for (std::size_t channel = 0; channel < colour.size(); ++channel)
    colour[channel] = static_cast<std::uint8_t>(std::min(255.0, mean[channel] * 255.0));
}

Preprocessor::Preprocessor(const Config& config, Padding padding, ResizeBackend backend, Resample otherwise)
    : scaling_(config), resampling_(otherwise, backend) {
  read_padding(config, padding);
  if (config.has("resample"))
    resampling_.filter = resample_from(config.integer("resample", 3, {0, 5})).value_or(otherwise);
  if (config.flag("do_center_crop", config.has("crop_size"))) {
    if (!config.has("crop_size")) config.fail("crop_size", "missing, and do_center_crop is true");
    crop_ = read_sides(config, "crop_size");
  }
  if (config.flag("do_resize", true)) read_size(config);
  if (crop_) {
    output_ = *crop_;
  } else if (exact_size_) {
    output_ = *exact_size_;
  } else {
    config.fail("crop_size", "without a crop or a fixed size pictures would differ in size");
  }
}

ResizedSize Preprocessor::resized_size(const Image& image) const {
  if (exact_size_) return {exact_size_->width, exact_size_->height};
  if (!shortest_edge_) return {image.width, image.height};
  const std::int64_t edge = *shortest_edge_;
  const auto [small, large] = std::minmax(image.width, image.height);
  // int(size * long / short) of Hugging Face's get_resize_output_image_size(): a quotient of exact integers.
  const auto other =
      static_cast<std::int64_t>(static_cast<double>(edge * large) / static_cast<double>(small));
  return image.width <= image.height ? ResizedSize{edge, other} : ResizedSize{other, edge};
}

Image Preprocessor::padded(const Image& image) const {
  const int side = std::max(image.width, image.height);
  if (side > kMaxPaddedSide) {
    throw ItemError(
        ErrorCode::image_too_large,
        fmt::format("{} x {} pixels: to be padded to a square (do_pad), a side may have {} at most",
                    image.width, image.height, kMaxPaddedSide));
  }
  Image out(side, side);
  const int left = (side - image.width) / 2, top = (side - image.height) / 2;
  for (std::size_t i = 0; i < out.rgb.size(); ++i) out.rgb[i] = (*background_)[i % 3];
  for (int y = 0; y < image.height; ++y)
    std::memcpy(out.row(top + y) + 3 * left, image.row(y), image.row_bytes());
  return out;
}

Image Preprocessor::fit(const Image& image) const {
  if (background_ && image.width != image.height) return fit_to_size(padded(image));
  return fit_to_size(image);
}

Image Preprocessor::fit_to_size(const Image& image) const {
  const ResizedSize size = resized_size(image);
  if (!crop_) return resize(image, size, resampling_);
  const Crop across = center_crop(size.width, crop_->width);
  const Crop down = center_crop(size.height, crop_->height);
  Image taken = resize_window(image, size, {across.from, down.from, across.count, down.count}, resampling_);
  if (taken.width == crop_->width && taken.height == crop_->height) return taken;
  Image out(crop_->width, crop_->height);
  for (int y = 0; y < taken.height; ++y) {
    std::memcpy(out.row(down.to + y) + 3 * across.to, taken.row(y), taken.row_bytes());
  }
  return out;
}

}  // namespace mmbatch
