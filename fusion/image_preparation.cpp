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

ImagePreparation::ImagePreparation(const WeightSource& weights, const VisionSpec& spec) : spec_(spec) {
  const Config config = read_image_processor(weights);
  if (spec.pinpoints.empty()) {
    preprocessor_.emplace(config, pads_to_square(config) ? Padding::to_square : Padding::unsupported);
    check_size(config, preprocessor_->output_width(), spec.encoder.image_size);
    check_size(config, preprocessor_->output_height(), spec.encoder.image_size);
  } else {
    check_pinpoints(config, spec.pinpoints);
    tiler_.emplace(config, spec.pinpoints);
    check_size(config, tiler_->tile_size(), spec.encoder.image_size);
  }
}

PixelValues ImagePreparation::prepare(const Image& image) const {
  PixelValues values;
  values.width = image.width;
  values.height = image.height;
  const VisionConfig& tower = spec_.encoder;
  const auto add = [&](const Matrix<float>& pixels) {
    values.tiles.push_back(cut_into_patches(pixels.view(), tower.image_size, tower.patch_size));
  };
  if (tiler_) {
    const TiledImage tiled = tiler_->apply(image);
    values.grid = tiled.grid;
    for (const Matrix<float>& tile : tiled.tiles) add(tile);
  } else {
    add(preprocessor_->pixel_values(image));
  }
  return values;
}

std::size_t ImagePreparation::tokens(int width, int height) const {
  const VisionConfig& tower = spec_.encoder;
  FeatureMap map{.grid = tower.grid(), .width = width, .height = height};
  if (tiler_) map.tiles = tiler_->grid(width, height);
  map.rows = static_cast<std::size_t>(map.tiles.tiles()) * tower.feature_tokens();
  return projected(spec_.projector, map).rows;
}

std::size_t ImagePreparation::most_tokens() const {
  if (!tiler_) return tokens(1, 1);
  std::size_t most = 0;
  for (const GridPinpoint& pinpoint : spec_.pinpoints)
    most = std::max(most, tokens(pinpoint.width, pinpoint.height));
  return most;
}

}  // namespace mmbatch
