#include "fusion/image_preparation.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "fusion/family.h"

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

using AnyPreprocessor =
    std::variant<Preprocessor, Tiler, GridTiler, BlockPreprocessor, EdgePreprocessor, SoftTokenPreprocessor>;

AnyPreprocessor preprocessor_for(const Config& config, const VisionSpec& spec) {
  if (const auto* own = std::get_if<OwnShape>(&spec.form)) return BlockPreprocessor(config, own->blocks);
  if (const auto* own = std::get_if<OwnShapeWithin>(&spec.form))
    return EdgePreprocessor(config, own->patches);
  if (const auto* soft = std::get_if<SoftTokens>(&spec.form))
    return SoftTokenPreprocessor(config, soft->geometry);
  if (const auto* tiled = std::get_if<TilesAndWhole>(&spec.form)) {
    check_size(config, tile_size(tiled->rule), spec.encoder.image_size);
    return GridTiler(config, tiled->rule, tiled->resample);
  }
  if (const auto* tiled = std::get_if<WholeAndTiles>(&spec.form)) {
    check_pinpoints(config, tiled->pinpoints);
    Tiler tiler(config, tiled->pinpoints);
    check_size(config, tiler.tile_size(), spec.encoder.image_size);
    return tiler;
  }
  const Padding padding = pads_to_square(config) ? Padding::to_square : Padding::unsupported;
  Preprocessor preprocessor(config, padding, spec.pass_order);
  check_size(config, preprocessor.output_width(), spec.encoder.image_size);
  check_size(config, preprocessor.output_height(), spec.encoder.image_size);
  return preprocessor;
}

}  // namespace

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
  check(budget);
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_))
    values.tiles.push_back(blocks->apply(image, pixels(*blocks, budget)));
  else if (const auto* edge = std::get_if<EdgePreprocessor>(&preprocessor_))
    values.tiles.push_back(edge->apply(image));
  else if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_))
    values.tiles.push_back(soft->apply(image, rows(*soft, budget)));
  else if (const auto* grids = std::get_if<GridTiler>(&preprocessor_))
    add_tiles(grids->apply(image));
  else if (const auto* tiler = std::get_if<Tiler>(&preprocessor_))
    add_tiles(tiler->apply(image));
  else
    add(std::get<Preprocessor>(preprocessor_).pixel_values(image));
  return values;
}

void ImagePreparation::check(const ImageBudget& budget) const {
  if (budget.empty()) return;
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_)) {
    pixels(*blocks, budget);
    return;
  }
  if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_)) {
    rows(*soft, budget);
    return;
  }
  throw ItemError(ErrorCode::invalid_value,
                  "a budget of image tokens or pixels is set, but this model brings every image to a size of "
                  "its own; leave image_tokens, min_pixels and max_pixels out");
}

PixelBudget ImagePreparation::pixels(const BlockPreprocessor& blocks, const ImageBudget& budget) const {
  const std::int64_t unit = blocks.geometry().unit(), token = unit * unit;
  PixelBudget pixels = blocks.budget();
  const auto set = [&](std::int64_t& value, std::optional<std::int64_t> in_pixels,
                       std::optional<std::int64_t> in_tokens) {
    if (in_pixels) value = *in_pixels;
    if (in_tokens) value = *in_tokens > BlockPreprocessor::kMostPixels ? INT64_MAX : *in_tokens * token;
  };
  set(pixels.least, budget.min_pixels, budget.min_tokens);
  set(pixels.most, budget.max_pixels, budget.max_tokens);
  // Who sets one end only moves the other out of the way.
  if (pixels.least > pixels.most && !budget.min_pixels && !budget.min_tokens) pixels.least = pixels.most;
  if (pixels.least > pixels.most && !budget.max_pixels && !budget.max_tokens) pixels.most = pixels.least;
  if (pixels.least >= 1 && pixels.most >= token && pixels.most <= BlockPreprocessor::kMostPixels &&
      pixels.least <= pixels.most)
    return pixels;
  throw ItemError(
      ErrorCode::invalid_value,
      fmt::format("an image of at least {} and at most {} pixels is not possible; this model takes from {} "
                  "pixels, which are one token, to {}, and the least may not be above the most",
                  pixels.least, pixels.most, token, BlockPreprocessor::kMostPixels));
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

FeatureMap ImagePreparation::layout(int width, int height, const ImageBudget& budget) const {
  check(budget);
  const VisionConfig& tower = spec_.encoder;
  FeatureMap map{.grid = tower.grid(), .width = width, .height = height};
  if (const auto* tiler = std::get_if<GridTiler>(&preprocessor_)) map.tiles = tiler->grid(width, height);
  if (const auto* tiler = std::get_if<Tiler>(&preprocessor_)) map.tiles = tiler->grid(width, height);
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_))
    map.grid = blocks->grid(width, height, pixels(*blocks, budget));
  if (const auto* edge = std::get_if<EdgePreprocessor>(&preprocessor_)) map.grid = edge->grid(width, height);
  if (const auto* soft = std::get_if<SoftTokenPreprocessor>(&preprocessor_))
    map.grid = soft->grid(width, height, rows(*soft, budget));
  map.rows = static_cast<std::size_t>(map.tiles.tiles()) * tower.feature_rows(map.grid);
  return projected(spec_.projector, map);
}

std::size_t ImagePreparation::most_tokens() const {
  if (const auto* blocks = std::get_if<BlockPreprocessor>(&preprocessor_)) {
    const std::int64_t unit = blocks->geometry().unit();
    return static_cast<std::size_t>(std::max<std::int64_t>(1, blocks->budget().most / (unit * unit)));
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
