#include "vision/preprocess/grid/padded_tiler.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "vision/preprocess/budget/smart_resize.h"
#include "vision/preprocess/grid/aspect_grids.h"

namespace mmbatch {
namespace {

int read_side(const Config& holder, const std::string& key, std::int64_t otherwise, std::size_t patch_size) {
  const std::int64_t side = holder.integer(key, otherwise, {1, Preprocessor::kMaxSide});
  if (side % static_cast<std::int64_t>(patch_size) != 0)
    holder.fail(key, fmt::format("{} is not a multiple of the patch size, {}", side, patch_size));
  return static_cast<int>(side);
}

std::array<std::uint8_t, 3> read_colour(const Config& config) {
  if (!config.has("background_color")) return {127, 127, 127};
  const std::vector<std::int64_t> parts = config.integers("background_color");
  const auto is_sample = [](std::int64_t part) { return part >= 0 && part <= 255; };
  if (parts.size() != 3 || !std::all_of(parts.begin(), parts.end(), is_sample))
    config.fail("background_color", "expected three numbers from 0 to 255");
  std::array<std::uint8_t, 3> colour{};
  std::transform(parts.begin(), parts.end(), colour.begin(),
                 [](std::int64_t part) { return static_cast<std::uint8_t>(part); });
  return colour;
}

}  // namespace

PaddedTiler::PaddedTiler(const Config& config, std::size_t patch_size)
    : patch_size_(patch_size), scaling_(config), background_(read_colour(config)) {
  resample_ = resample_from(config.integer("resample", 3, {0, 5})).value_or(Resample::bicubic);
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: tiles have one size");
  check_size_keys(config, "size", {"height", "width"});
  const Config size = config.object("size");
  whole_ = read_side(size, "height", 1024, patch_size);
  if (read_side(size, "width", whole_, patch_size) != whole_)
    size.fail("width", "other than height is not supported: pictures are padded to squares");
  tile_ = read_side(config, "tile_size", 768, patch_size);
  if (!config.flag("crop_to_patches", true)) {
    whole_ = tile_;
    return;
  }
  const std::int64_t least = config.integer("min_patches", 2, {1, 256});
  most_ = static_cast<int>(config.integer("max_patches", 6, {least, 256}));
  if (std::int64_t{tile_} * tile_ * most_ > Preprocessor::kMostPixels)
    config.fail("max_patches", too_many_pixels(static_cast<std::size_t>(most_), tile_));
  grids_ = grids_by_columns(static_cast<int>(least), most_);
}

PatchGrid PaddedTiler::patches_of(int size) const {
  const std::size_t side = static_cast<std::size_t>(size) / patch_size_;
  return {side, side};
}

TileGrid PaddedTiler::grid(int width, int height) const {
  if (most_ == 0 || std::max(width, height) <= tile_) return {};
  return nearest_aspect({width, height}, tile_, grids_);
}

Image PaddedTiler::padded(const Image& image) const {
  const double scale = static_cast<double>(whole_) / std::max(image.width, image.height);
  const auto width = static_cast<std::int64_t>(nearest_multiple(image.width * scale, 1));
  const auto height = static_cast<std::int64_t>(nearest_multiple(image.height * scale, 1));
  if (std::min(width, height) < 1) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("{} x {} pixels: nothing would be left of the shorter side where the longer "
                                "one has {} pixels, as this model takes it",
                                image.width, image.height, whole_));
  }
  const Image small = resize(image, {width, height}, resample_);
  Image square(whole_, whole_);
  for (std::size_t i = 0; i < square.rgb.size(); ++i) square.rgb[i] = background_[i % 3];
  const int left = (whole_ - small.width) / 2, top = (whole_ - small.height) / 2;
  for (int row = 0; row < small.height; ++row)
    std::copy_n(small.row(row), 3 * small.width, square.row(top + row) + 3 * left);
  return square;
}

std::vector<Patches> PaddedTiler::apply(const Image& image) const {
  std::vector<Patches> out;
  const auto add = [&](const Image& picture) {
    out.push_back(cut_into_patches(scaling_.apply(picture).view(), static_cast<std::size_t>(picture.width),
                                   patch_size_));
  };
  const TileGrid tiles = grid(image.width, image.height);
  if (tiles.rows > 0) {
    const Image tiled =
        resize(image, {std::int64_t{tile_} * tiles.columns, std::int64_t{tile_} * tiles.rows}, resample_);
    for (int row = 0; row < tiles.rows; ++row) {
      for (int column = 0; column < tiles.columns; ++column)
        add(cut_tile(tiled, column * tile_, row * tile_, tile_));
    }
  }
  add(padded(image));
  return out;
}

}  // namespace mmbatch
