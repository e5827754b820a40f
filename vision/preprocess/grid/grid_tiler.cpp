#include "vision/preprocess/grid/grid_tiler.h"

#include <fmt/format.h>

#include <algorithm>

namespace mmbatch {
namespace {

/// Which picture is squashed to one tile: the one that was cut, or the original.
bool squashes_original(const GridRule& rule) {
  return std::holds_alternative<NearestAspectGrid>(rule);
}

Resample read_resample(const Config& config, Resample otherwise) {
  const std::int64_t code = config.integer("resample", static_cast<int>(otherwise), {0, 5});
  return resample_from(code).value_or(otherwise);
}

}  // namespace

GridTiler::GridTiler(const Config& config, const GridRule& rule, Resample otherwise)
    : rule_(rule), scaling_(config), resample_(read_resample(config, otherwise)) {
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: tiles have one size");
  if (config.flag("do_center_crop", false))
    config.fail("do_center_crop", "not supported where pictures become tiles");
  if (most_tiles(rule_) > kMaxTiles) {
    config.fail("size", fmt::format("a picture could become {} tiles, at most {} are supported",
                                    most_tiles(rule_), kMaxTiles));
  }
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
