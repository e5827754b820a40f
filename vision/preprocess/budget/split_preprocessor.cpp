#include "vision/preprocess/budget/split_preprocessor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vision/preprocess/budget/block_preprocessor.h"
#include "vision/preprocess/budget/tower_numbers.h"
#include "vision/preprocess/grid/aspect_grids.h"

namespace mmbatch {
SplitPreprocessor::SplitPreprocessor(const Config& config, const SplitGeometry& tower)
    : geometry_(tower), scaling_(config) {
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: pictures must be whole blocks of patches");
  check_same_as_tower(config, "encoder_patch_size", tower.patch_size, 16);
  check_same_as_tower(config, "downsample_factor", tower.merge, 2);
  resample_ = resample_from(config.integer("resample", 2, {0, 5})).value_or(Resample::bilinear);
  const std::int64_t token = std::int64_t{tower.unit()} * tower.unit();
  const Config::Range tokens{1, std::max<std::int64_t>(1, BlockPreprocessor::kMostPixels / token)};
  const std::int64_t least = config.integer("min_image_tokens", 64, tokens);
  const std::int64_t most = config.integer("max_image_tokens", 256, tokens);
  if (least > most)
    config.fail("min_image_tokens", fmt::format("{} is above max_image_tokens, {}", least, most));
  budget_.whole = {least * token, most * token};
  const double tolerance = config.number("max_pixels_tolerance", 2.0);
  if (!(tolerance > 0)) config.fail("max_pixels_tolerance", "must be above 0");
  most_uncut_ = static_cast<double>(budget_.whole.most) * tolerance;
  if (config.flag("do_image_splitting", true)) read_tiles(config);
}

void SplitPreprocessor::read_tiles(const Config& config) {
  const auto least = static_cast<int>(config.integer("min_tiles", 2, {1, 256}));
  budget_.most_tiles = static_cast<int>(config.integer("max_tiles", 10, {least, 256}));
  if (budget_.most_tiles == 1) {
    budget_.most_tiles = 0;
    return;
  }
  tile_ = static_cast<int>(config.integer("tile_size", 512, {1, Preprocessor::kMaxSide}));
  if (tile_ % geometry_.unit() != 0) {
    config.fail("tile_size", fmt::format("{} is not a multiple of {}, the side of what becomes one row",
                                         tile_, geometry_.unit()));
  }
  if (budget_.most_tiles * tile_pixels() > Preprocessor::kMostPixels)
    config.fail("max_tiles", too_many_pixels(budget_.most_tiles, tile_));
  grids_ = grids_by_set(least, budget_.most_tiles);
  if (!config.flag("use_thumbnail", true)) whole_ = WholePicture::left_out;
}

PatchGrid SplitPreprocessor::grid_of(const ResizedSize& size) const {
  const std::int64_t side = geometry_.patch_size;
  return {static_cast<std::size_t>(size.height / side), static_cast<std::size_t>(size.width / side)};
}

std::size_t SplitPreprocessor::most_rows() const {
  // The longest picture, one unit wide, keeps to the budget only where that is large enough.
  const double unit = geometry_.unit(), pixels = static_cast<double>(budget_.whole.most);
  const double whole = std::max(pixels / (unit * unit), std::sqrt(pixels * kMostAspect) / unit);
  const std::int64_t tiles = budget_.most_tiles * tile_pixels() / (geometry_.unit() * geometry_.unit());
  return static_cast<std::size_t>(std::ceil(whole)) + static_cast<std::size_t>(tiles);
}

bool SplitPreprocessor::is_large(int width, int height) const {
  const double patch = geometry_.patch_size, unit = geometry_.unit();
  return std::max(patch, nearest_multiple(height, unit)) * std::max(patch, nearest_multiple(width, unit)) >
         most_uncut_;
}

SplitPlan SplitPreprocessor::plan(int width, int height, const SplitBudget& budget) const {
  SplitPlan plan;
  plan.whole = smart_resize(width, height, {.unit = geometry_.unit(), .short_sides = ShortSides::one_unit},
                            budget.whole);
  std::vector<TileGrid> grids;
  for (const TileGrid& grid : grids_) {
    if (grid.rows * grid.columns <= budget.most_tiles) grids.push_back(grid);
  }
  if (grids.empty() || !is_large(width, height)) return plan;
  plan.grid = nearest_aspect({width, height}, tile_, grids);
  if (plan.grid.rows * plan.grid.columns == 1) {
    // One tile is the picture, squashed: there is no whole beside it.
    plan.whole = {tile_, tile_};
    plan.grid = {};
    return plan;
  }
  plan.grid.whole = whole_;
  plan.tiled = {std::int64_t{tile_} * plan.grid.columns, std::int64_t{tile_} * plan.grid.rows};
  return plan;
}

std::vector<Patches> SplitPreprocessor::apply(const Image& image, const SplitPlan& plan) const {
  std::vector<Patches> out;
  const auto add = [&](const Image& picture) {
    const auto side = static_cast<std::size_t>(geometry_.patch_size);
    out.push_back(
        cut_into_patches(scaling_.apply(picture).view(), static_cast<std::size_t>(picture.width), side));
  };
  if (plan.grid.rows > 0) {
    const Image tiled = resize(image, plan.tiled, resample_);
    for (int row = 0; row < plan.grid.rows; ++row) {
      for (int column = 0; column < plan.grid.columns; ++column)
        add(cut_tile(tiled, column * tile_, row * tile_, tile_));
    }
  }
  if (plan.grid.has_whole()) add(resize(image, plan.whole, resample_));
  return out;
}

}  // namespace mmbatch
