#include "fusion/image_preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/result.h"
#include "fusion/family.h"
#include "fusion/images/pixel_budget.h"
#include "fusion/images/tile_budget.h"

namespace mmbatch {
namespace {

/// Where the file says how pictures are tiled too, it must say what config.json says.
void check_pinpoints(const Config& config, const std::vector<GridPinpoint>& pinpoints) {
  constexpr const char* kKey = "image_grid_pinpoints";
  if (!config.has(kKey)) return;
  const std::vector<GridPinpoint> found = read_grid_pinpoints(config, kKey);
  const auto same = [](const GridPinpoint& a, const GridPinpoint& b) {
    return a.width == b.width && a.height == b.height;
  };
  if (!std::equal(found.begin(), found.end(), pinpoints.begin(), pinpoints.end(), same))
    config.fail(kKey, "differs from image_grid_pinpoints of config.json: only one of the two can hold");
}

void check_size(const Config& config, int found, std::size_t wanted) {
  if (found == static_cast<int>(wanted)) return;
  throw ModelError(
      fmt::format("{}: images come out {} pixels wide or high, config.json's vision_config.image_size is {}",
                  config.source(), found, wanted));
}

}  // namespace

Config read_image_processor(const WeightSource& weights) {
  constexpr const char* kFile = "preprocessor_config.json";
  const Config processor = weights.json_file("processor_config.json");
  if (processor.has("image_processor")) return processor.object("image_processor");
  if (!weights.has_file(kFile)) {
    throw ModelError(fmt::format(
        "{}: missing, and processor_config.json has no image_processor; without it nobody knows how "
        "images are resized and normalised. Copy it from the published checkpoint",
        (weights.path() / kFile).string()));
  }
  return weights.json_file(kFile);
}

namespace {

using AnyPreprocessor = std::variant<Preprocessor, Tiler, GridTiler, BlockPreprocessor, EdgePreprocessor,
                                     SoftTokenPreprocessor, SplitPreprocessor, PaddedTiler>;

AnyPreprocessor preprocessor_for(const Config& config, const VisionSpec& spec) {
  if (const auto* own = std::get_if<OwnShape>(&spec.form)) return BlockPreprocessor(config, own->blocks);
  if (const auto* own = std::get_if<OwnShapeWithin>(&spec.form))
    return EdgePreprocessor(config, own->patches);
  if (const auto* soft = std::get_if<SoftTokens>(&spec.form))
    return SoftTokenPreprocessor(config, soft->geometry);
  if (const auto* own = std::get_if<OwnShapeOrTiles>(&spec.form))
    return SplitPreprocessor(config, own->patches);
  if (std::holds_alternative<TilesAndPaddedWhole>(spec.form))
    return PaddedTiler(config, spec.encoder.patch_size);
  if (const auto* tiled = std::get_if<TilesAndWhole>(&spec.form)) {
    check_size(config, tile_size(tiled->rule), spec.encoder.image_size);
    return GridTiler(config, tiled->rule, tiled->resample);
  }
  if (const auto* tiled = std::get_if<WholeAndTiles>(&spec.form)) {
    check_pinpoints(config, tiled->pinpoints);
    Tiler tiler(config, tiled->pinpoints, spec.resize_backend);
    check_size(config, tiler.tile_size(), spec.encoder.image_size);
    return tiler;
  }
  const Padding padding = pads_to_square(config) ? Padding::to_square : Padding::unsupported;
  Preprocessor preprocessor(config, padding, spec.resize_backend, spec.resample);
  check_size(config, preprocessor.output_width(), spec.encoder.image_size);
  check_size(config, preprocessor.output_height(), spec.encoder.image_size);
  return preprocessor;
}

PixelBudget budget_of(const BlockPreprocessor& blocks, const ImageBudget& budget) {
  const BlockGeometry& geometry = blocks.geometry();
  return asked_budget(blocks.budget(),
                      {std::int64_t{geometry.unit()} * geometry.unit(), geometry.counted_frames}, budget);
}

/// Where a largest number is asked for, tiles and whole together keep to it.
SplitBudget budget_of(const SplitPreprocessor& split, const ImageBudget& budget) {
  SplitBudget out = split.budget();
  if (budget.empty()) return out;
  const std::int64_t unit = split.geometry().unit();
  const PixelBudget asked = asked_budget(out.whole, {.token = unit * unit}, budget);
  out.whole.least = asked.least;
  if (!budget.max_pixels && !budget.max_tokens) {
    out.whole.most = asked.most;
    return out;
  }
  out.whole.most = std::max(std::min(out.whole.most, asked.most), asked.least);
  if (out.most_tiles > 0) {
    const std::int64_t left = (asked.most - out.whole.most) / split.tile_pixels();
    out.most_tiles = static_cast<int>(std::min<std::int64_t>(out.most_tiles, left));
  }
  return out;
}

/// How the patches of so many tiles and of the whole lie.
FeatureMap padded_rows(const PaddedTiler& tiler, FeatureMap map, int tiles) {
  map.grid = tiler.patches_of(tiles > 0 ? tiler.tile_size() : tiler.whole_size());
  map.whole = tiles > 0 ? tiler.patches_of(tiler.whole_size()) : PatchGrid{};
  map.rows =
      tiles > 0 ? static_cast<std::size_t>(tiles) * map.grid.count() + map.whole.count() : map.grid.count();
  return map;
}

/// How the patches of a picture lie.  @param map its width and height
FeatureMap padded_layout(const PaddedTiler& tiler, FeatureMap map) {
  map.tiles = tiler.grid(map.width, map.height);
  return padded_rows(tiler, map, map.tiles.rows * map.tiles.columns);
}

/// How the patches of a picture lie.  @param map its width and height
FeatureMap split_layout(const SplitPreprocessor& split, FeatureMap map, const SplitBudget& budget) {
  const SplitPlan plan = split.plan(map.width, map.height, budget);
  map.tiles = plan.grid;
  map.grid = split.grid_of(plan.whole);
  map.rows = plan.grid.has_whole() ? map.grid.count() : 0;
  if (plan.grid.rows == 0) return map;
  if (plan.grid.has_whole()) map.whole = map.grid;
  map.grid = split.tile_grid();
  map.rows += static_cast<std::size_t>(plan.grid.rows * plan.grid.columns) * map.grid.count();
  return map;
}

}  // namespace

PreparationMemory preparation_memory(const VisionConfig& tower, std::size_t pixels, std::size_t patches) {
  constexpr std::size_t kSamples = 3;
  // Resized as bytes, once more where it is padded or cut; then as floats, row by row and patch by patch.
  constexpr std::size_t kPreparing = kSamples * (1 + 1 + sizeof(float) + sizeof(float));
  // Of each row a stream and two copies, queries, keys and values, what was attended to, what comes out, and
  // the feed-forward layer, which may be gated.
  const std::size_t row = 8 * tower.hidden() + 2 * tower.layer.feed_forward.ffn;
  return {.patches = patches,
          .preparing = pixels * kPreparing,
          .encoding = tower.staged ? 0 : patches * row * sizeof(float)};
}

ImagePreparation::ImagePreparation(const WeightSource& weights, const VisionSpec& spec)
    : spec_(spec), preprocessor_(preprocessor_for(read_image_processor(weights), spec)) {}

PixelValues ImagePreparation::prepare(const Image& image, const ImageBudget& budget) const {
  PixelValues values;
  values.width = image.width;
  values.height = image.height;
  const VisionConfig& tower = spec_.encoder;
  const auto add = [&](const Matrix<float>& pixels) {
    values.tiles.push_back(cut_into_patches(pixels.view(), tower.image_size, tower.patch_size));
  };
  const auto add_tiles = [&](const TiledImage& tiled) {
    values.grid = tiled.grid;
    for (const Matrix<float>& tile : tiled.tiles) add(tile);
  };
  const auto add_split = [&](const SplitPreprocessor& split, const SplitPlan& plan) {
    values.grid = plan.grid;
    values.tiles = split.apply(image, plan);
  };
  const auto add_padded = [&](const PaddedTiler& tiler) {
    values.grid = tiler.grid(image.width, image.height);
    values.tiles = tiler.apply(image);
  };
  check(budget);
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_))
    values.tiles.push_back(blocks->apply(image, budget_of(*blocks, budget)));
  else if (const auto* edge = std::get_if<EdgePreprocessor>(&preprocessor_))
    values.tiles.push_back(edge->apply(image));
  else if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_))
    values.tiles.push_back(soft->apply(image, rows(*soft, budget)));
  else if (const auto* split = std::get_if<SplitPreprocessor>(&preprocessor_))
    add_split(*split, split->plan(image.width, image.height, budget_of(*split, budget)));
  else if (const auto* padded = std::get_if<PaddedTiler>(&preprocessor_))
    add_padded(*padded);
  else if (const auto* grids = std::get_if<GridTiler>(&preprocessor_))
    add_tiles(grids->apply(image, rule_of(*grids, spec_.tile_tokens(), budget)));
  else if (const auto* tiler = std::get_if<Tiler>(&preprocessor_))
    add_tiles(tiler->apply(image, pinpoints(*tiler, {image.width, image.height}, budget)));
  else
    add(std::get<Preprocessor>(preprocessor_).pixel_values(image));
  return values;
}

void ImagePreparation::check(const ImageBudget& budget) const {
  if (budget.empty()) return;
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_)) {
    budget_of(*blocks, budget);
    return;
  }
  if (const auto* split = std::get_if<SplitPreprocessor>(&preprocessor_)) {
    budget_of(*split, budget);
    return;
  }
  if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_)) {
    rows(*soft, budget);
    return;
  }
  if (const auto* grids = std::get_if<GridTiler>(&preprocessor_)) {
    rule_of(*grids, spec_.tile_tokens(), budget);
    return;
  }
  if (const auto* tiler = std::get_if<Tiler>(&preprocessor_)) {
    // A picture of the pinpoint's own shape has the most rows of any; whether others keep to the budget is
    // known when they come.
    ImageBudget least = budget;
    least.max_tokens.reset();
    for (const GridPinpoint& pinpoint : tiler->pinpoints()) {
      const auto possible = guarded([&] {
        return pinpoints(*tiler, {pinpoint.width, pinpoint.height}, least), true;
      });
      if (possible) return;
    }
    pinpoints(*tiler, {tiler->tile_size(), tiler->tile_size()}, budget);
    return;
  }
  throw ItemError(ErrorCode::invalid_value,
                  "a budget of image tokens or pixels is set, but this model brings every image to a size of "
                  "its own; leave image_tokens, min_pixels and max_pixels out");
}

std::vector<GridPinpoint> ImagePreparation::pinpoints(const Tiler& tiler, const PictureSides& picture,
                                                      const ImageBudget& budget) const {
  if (budget.empty()) return tiler.pinpoints();
  const VisionConfig& tower = spec_.encoder;
  const auto rows = [&](const TileGrid& grid) {
    FeatureMap map{.grid = tower.grid(), .tiles = grid, .width = picture.width, .height = picture.height};
    map.rows = static_cast<std::size_t>(grid.tiles()) * tower.feature_rows(map.grid);
    return projected(spec_.projector, map).rows;
  };
  return pinpoints_within({tiler, rows}, budget);
}

std::int64_t ImagePreparation::rows(const SoftTokenPreprocessor& soft, const ImageBudget& budget) const {
  const auto& allowed = SoftTokenPreprocessor::kBudgets;
  const auto fail = [](const std::string& what) {
    throw ItemError(ErrorCode::invalid_value,
                    fmt::format("{}; this model fills a budget of {} tokens with every image: set "
                                "image_tokens: {{max: …}} to one of them, and leave image_tokens.min, "
                                "min_pixels and max_pixels out",
                                what, soft_token_budgets_text()));
  };
  if (budget.min_tokens) fail(fmt::format("an image of at least {} tokens is asked for", *budget.min_tokens));
  if (budget.min_pixels || budget.max_pixels) fail("a budget of pixels is set");
  const std::int64_t most = budget.max_tokens.value_or(soft.budget());
  if (std::find(allowed.begin(), allowed.end(), most) == allowed.end())
    fail(fmt::format("an image of at most {} tokens is asked for", most));
  return most;
}

PreparationMemory ImagePreparation::memory(int width, int height, const ImageBudget& budget) const {
  check(budget);
  const VisionConfig& tower = spec_.encoder;
  const auto of_patches = [&](const PatchGrid& grid, int side) {
    const auto pixels = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
    return preparation_memory(tower, grid.count() * pixels, grid.count());
  };
  const auto of_pixels = [&](std::size_t pixels) {
    return preparation_memory(tower, pixels, pixels / (tower.patch_size * tower.patch_size));
  };
  const auto of_tiles = [&](const TileGrid& grid, int side) {
    return of_pixels(static_cast<std::size_t>(grid.tiles()) * static_cast<std::size_t>(side) *
                     static_cast<std::size_t>(side));
  };
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_))
    return of_patches(blocks->grid(width, height, budget_of(*blocks, budget)), blocks->geometry().patch_size);
  if (const auto* edge = std::get_if<EdgePreprocessor>(&preprocessor_))
    return of_patches(edge->grid(width, height), static_cast<int>(tower.patch_size));
  if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_))
    return of_patches(soft->grid(width, height, rows(*soft, budget)), soft->geometry().cut_side());
  if (const auto* split = std::get_if<SplitPreprocessor>(&preprocessor_)) {
    const SplitPlan plan = split->plan(width, height, budget_of(*split, budget));
    const std::int64_t whole = plan.grid.has_whole() ? plan.whole.width * plan.whole.height : 0;
    return of_pixels(static_cast<std::size_t>(whole + std::int64_t{plan.grid.rows} * plan.grid.columns *
                                                          split->tile_pixels()));
  }
  if (const auto* padded = std::get_if<PaddedTiler>(&preprocessor_)) {
    const FeatureMap map = padded_layout(*padded, {.width = width, .height = height});
    return of_pixels(map.rows * tower.patch_size * tower.patch_size);
  }
  if (const auto* grids = std::get_if<GridTiler>(&preprocessor_)) {
    const GridRule rule = rule_of(*grids, spec_.tile_tokens(), budget);
    return of_tiles(plan_grid(rule, width, height).grid, tile_size(rule));
  }
  if (const auto* tiler = std::get_if<Tiler>(&preprocessor_))
    return of_tiles(tiler->grid(width, height, pinpoints(*tiler, {width, height}, budget)),
                    tiler->tile_size());
  return of_pixels(tower.image_size * tower.image_size);
}

FeatureMap ImagePreparation::layout(int width, int height, const ImageBudget& budget) const {
  check(budget);
  const VisionConfig& tower = spec_.encoder;
  FeatureMap map{.grid = tower.grid(), .width = width, .height = height};
  if (const auto* grids = std::get_if<GridTiler>(&preprocessor_))
    map.tiles = plan_grid(rule_of(*grids, spec_.tile_tokens(), budget), width, height).grid;
  if (const auto* tiler = std::get_if<Tiler>(&preprocessor_))
    map.tiles = tiler->grid(width, height, pinpoints(*tiler, {width, height}, budget));
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_))
    map.grid = blocks->grid(width, height, budget_of(*blocks, budget));
  if (const auto* edge = std::get_if<EdgePreprocessor>(&preprocessor_)) map.grid = edge->grid(width, height);
  if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_))
    map.grid = soft->grid(width, height, rows(*soft, budget));
  if (const auto* split = std::get_if<SplitPreprocessor>(&preprocessor_))
    return projected(spec_.projector, split_layout(*split, map, budget_of(*split, budget)));
  if (const auto* padded = std::get_if<PaddedTiler>(&preprocessor_))
    return projected(spec_.projector, projected(spec_.neck, padded_layout(*padded, map)));
  map.rows = static_cast<std::size_t>(map.tiles.tiles()) * tower.feature_rows(map.grid);
  return projected(spec_.projector, map);
}

std::size_t ImagePreparation::most_tokens() const {
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_)) {
    const BlockGeometry& geometry = blocks->geometry();
    const std::int64_t token = std::int64_t{geometry.unit()} * geometry.unit() * geometry.counted_frames;
    const auto most = static_cast<double>(blocks->budget().most / token);
    // A picture one block high keeps that height where the budget would have less of it.
    return static_cast<std::size_t>(std::max({1.0, most, std::sqrt(kMostAspect * most)}));
  }
  if (const auto* split = std::get_if<SplitPreprocessor>(&preprocessor_)) return split->most_rows();
  if (const auto* padded = std::get_if<PaddedTiler>(&preprocessor_)) {
    const FeatureMap map = padded_rows(*padded, {}, padded->most_tiles());
    return projected(spec_.projector, projected(spec_.neck, map)).rows;
  }
  if (const auto* edge = std::get_if<EdgePreprocessor>(&preprocessor_))
    return projected(spec_.projector, {.rows = edge->most().count(), .grid = edge->most()}).rows;
  if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_))
    return static_cast<std::size_t>(soft->budget());
  if (const auto* tiled = std::get_if<TilesAndWhole>(&spec_.form)) {
    const std::size_t rows = most_tiles(tiled->rule) * spec_.encoder.feature_tokens();
    return projected(spec_.projector, {.rows = rows, .grid = spec_.encoder.grid()}).rows;
  }
  const auto* tiled = std::get_if<WholeAndTiles>(&spec_.form);
  if (tiled == nullptr) return tokens(1, 1);
  std::size_t most = 0;
  for (const GridPinpoint& pinpoint : tiled->pinpoints)
    most = std::max(most, tokens(pinpoint.width, pinpoint.height));
  return most;
}

}  // namespace mmbatch
