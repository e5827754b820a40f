#include "vision/preprocess/grid/grid_tiler.h"

#include <fmt/format.h>

#include <algorithm>

namespace mmbatch {
namespace {

/// Which picture is squashed to one tile: the one that was cut, or the original.
bool squashes_original(const GridRule& rule) {
  return std::holds_alternative<NearestAspectGrid>(rule);
}

/// Tiles are as large as the tower takes them: the file must say the same.
void check_tile(const Config& config, int tile) {
  if (!config.has("size")) return;
  const auto is_tile = [&](std::int64_t side) { return side == tile; };
  const Config size = config.child("size");
  if (size.is_integer()) {
    if (!is_tile(size.as_integer()))
      config.fail("size", fmt::format("{}, but config.json's vision_config.image_size is {}",
                                      size.as_integer(), tile));
    return;
  }
  check_size_keys(config, "size", {"height", "width"});
  for (const char* side : {"height", "width"}) {
    const std::int64_t found = size.integer(side, 0, {0, 1 << 24});
    if (!is_tile(found))
      size.fail(side, fmt::format("{}, but config.json's vision_config.image_size is {}", found, tile));
  }
}

Resample read_resample(const Config& config, Resample otherwise) {
  const std::int64_t code = config.integer("resample", static_cast<int>(otherwise), {0, 5});
  return resample_from(code).value_or(otherwise);
}

}  // namespace

GridTiler::GridTiler(const Config& config, const GridRule& rule, Resample otherwise)
    : rule_(rule), scaling_(config), resample_(read_resample(config, otherwise)) {
  if (const auto* nearest = std::get_if<NearestAspectGrid>(&rule_)) check_tile(config, nearest->tile);
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: tiles have one size");
  if (config.flag("do_center_crop", false))
    config.fail("do_center_crop", "not supported where pictures become tiles");
  if (most_tiles(rule_) > kMaxTiles) {
    config.fail("size", fmt::format("a picture could become {} tiles, at most {} are supported",
                                    most_tiles(rule_), kMaxTiles));
  }
  const std::int64_t side = tile_size(rule_);
  if (static_cast<std::int64_t>(most_tiles(rule_)) * side * side > Preprocessor::kMostPixels)
    config.fail("size", too_many_pixels(most_tiles(rule_), tile_size(rule_)));
}

TiledImage GridTiler::apply(const Image& image, const GridRule& rule) const {
  const GridPlan plan = plan_grid(rule, image.width, image.height);
  const int side = tile_size(rule);
  TiledImage out;
  out.grid = plan.grid;
  out.width = image.width;
  out.height = image.height;
  Image whole = resize(image, plan.sizes.front(), resample_);
  for (std::size_t i = 1; i < plan.sizes.size(); ++i) whole = resize(whole, plan.sizes[i], resample_);
  for (int row = 0; row < plan.grid.rows; ++row) {
    for (int column = 0; column < plan.grid.columns; ++column)
      out.tiles.push_back(scaling_.apply(cut_tile(whole, column * side, row * side, side)));
  }
  if (plan.grid.rows > 0) whole = resize(squashes_original(rule) ? image : whole, {side, side}, resample_);
  out.tiles.push_back(scaling_.apply(whole));
  return out;
}

}  // namespace mmbatch
