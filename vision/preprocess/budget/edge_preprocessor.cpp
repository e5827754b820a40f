#include "vision/preprocess/budget/edge_preprocessor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

void check_patch_size(const Config& config, int tower) {
  if (!config.has("patch_size")) return;
  const Config sides = config.child("patch_size");
  const auto is_tower = [&](std::int64_t side) { return side == tower; };
  if (sides.is_integer() ? is_tower(sides.as_integer())
                         : is_tower(sides.integer("height", 0)) && is_tower(sides.integer("width", 0)))
    return;
  config.fail("patch_size",
              fmt::format("{}, but config.json's vision_config says {}: only one of the two can hold",
                          sides.dump().substr(0, 80), tower));
}

std::int64_t whole_units(std::int64_t pixels, std::int64_t unit) {
  return (pixels + unit - 1) / unit * unit;
}

}  // namespace

EdgePreprocessor::EdgePreprocessor(const Config& config, const EdgeGeometry& tower)
    : geometry_(tower), scaling_(config) {
  check_patch_size(config, tower.patch_size);
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: pictures must be whole patches");
  if (config.flag("do_center_crop", false))
    config.fail("do_center_crop", "true is not supported: the model is told sizes from before the crop");
  resample_ = resample_from(config.integer("resample", 3, {0, 5})).value_or(Resample::bicubic);
  const Config size = config.object("size");
  if (!size.has("longest_edge")) config.fail("size", "expected an object with longest_edge");
  longest_edge_ = static_cast<int>(size.integer("longest_edge", 0, {1, Preprocessor::kMaxSide}));
}

/// get_resize_output_image_size() of the published image processor.
ResizedSize EdgePreprocessor::size_of(int width, int height) const {
  const double ratio = static_cast<double>(std::max(width, height)) / longest_edge_;
  std::int64_t w = width, h = height;
  if (ratio > 1) {
    w = static_cast<std::int64_t>(std::floor(width / ratio));
    h = static_cast<std::int64_t>(std::floor(height / ratio));
  }
  if (std::min(w, h) < 1) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("{} x {} pixels: nothing would be left of the shorter side where the longer "
                                "one has {} pixels, which this model takes at most",
                                width, height, longest_edge_));
  }
  return {whole_units(w, geometry_.unit()), whole_units(h, geometry_.unit())};
}

PatchGrid EdgePreprocessor::grid(int width, int height) const {
  const ResizedSize size = size_of(width, height);
  const std::int64_t side = geometry_.patch_size;
  return {static_cast<std::size_t>(size.height / side), static_cast<std::size_t>(size.width / side)};
}

PatchGrid EdgePreprocessor::most() const {
  const auto side =
      static_cast<std::size_t>(whole_units(longest_edge_, geometry_.unit()) / geometry_.patch_size);
  return {side, side};
}

Patches EdgePreprocessor::apply(const Image& image) const {
  const ResizedSize size = size_of(image.width, image.height);
  const Matrix<float> pixels = scaling_.apply(resize(image, size, resample_));
  return cut_into_patches(pixels.view(), static_cast<std::size_t>(size.width),
                          static_cast<std::size_t>(geometry_.patch_size));
}

}  // namespace mmbatch
