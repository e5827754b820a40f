#include "fusion/image_stage.h"

namespace mmbatch {

ImageStage::ImageStage(const Weights& weights, const VisionSpec& spec)
    : tower_(weights, spec.encoder, spec.prefix),
      projector_(weights.in(edge_precision(weights.precision)), spec.projector) {}

ImageStage::Encoded ImageStage::encode(std::span<const PixelValues* const> images, Scratch& scratch) const {
  std::vector<const Patches*> tiles;
  std::vector<FeatureMap> maps;
  for (const PixelValues* image : images) {
    FeatureMap map{.grid = image->tiles.front().grid,
                   .tiles = image->grid,
                   .width = image->width,
                   .height = image->height};
    for (const Patches& tile : image->tiles) {
      tiles.push_back(&tile);
      map.rows += config().feature_rows(tile.grid);
    }
    maps.push_back(map);
  }
  Encoded encoded;
  encoded.features = tower_.encode(tiles, scratch);
  encoded.projected = projector_.forward(encoded.features.view(), std::move(maps), scratch);
  return encoded;
}

}  // namespace mmbatch
