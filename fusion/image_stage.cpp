#include "fusion/image_stage.h"

#include <cstring>

namespace mmbatch {
namespace {

VisionConfig with_taps(const VisionSpec& spec) {
  VisionConfig config = spec.encoder;
  for (const DeepStackTap& tap : spec.deepstack) config.taps.push_back(tap.layer);
  return config;
}

/// The rows of several matrices side by side.
Features side_by_side(const Features& first, std::span<const Features> others) {
  FeatureMap map = first->map;
  map.rows = first->rows();
  auto rows = std::make_shared<FeatureRows>(map, first->cols() * (1 + others.size()));
  const std::size_t width = first->cols();
  for (std::size_t r = 0; r < first->rows(); ++r) {
    std::memcpy(rows->row(r), first->row(r), width * sizeof(float));
    for (std::size_t i = 0; i < others.size(); ++i)
      std::memcpy(rows->row(r) + (1 + i) * width, others[i]->row(r), width * sizeof(float));
  }
  return rows;
}

std::variant<VisionEncoder, StagedTower> load_tower(const Weights& weights, const VisionSpec& spec) {
  if (spec.encoder.staged) return StagedTower(weights, spec.encoder, spec.prefix);
  return VisionEncoder(weights, with_taps(spec), spec.prefix);
}

/// @param maps of the images' rows, before and after
Matrix<float> through_neck(const Projector& neck, MatrixView<const float> rows, std::vector<FeatureMap>& maps,
                           Scratch& scratch) {
  const std::vector<Features> made = neck.forward(rows, maps, scratch);
  std::size_t all = 0, next = 0;
  for (const Features& one : made) all += one->rows();
  Matrix<float> out(all, made.front()->cols());
  for (std::size_t i = 0; i < made.size(); ++i) {
    std::memcpy(out.row(next), made[i]->data(), made[i]->bytes());
    next += made[i]->rows();
    maps[i] = made[i]->map;
  }
  return out;
}

}  // namespace

ImageStage::ImageStage(const Weights& weights, const VisionSpec& spec)
    : tower_(load_tower(weights, spec)),
      projector_(weights.in(edge_precision(weights.precision)), spec.projector) {
  if (!spec.neck.ops.empty()) neck_.emplace(weights, spec.neck);
  for (const DeepStackTap& tap : spec.deepstack)
    deepstack_.emplace_back(weights.in(edge_precision(weights.precision)), tap.projector);
}

std::size_t ImageStage::bytes() const {
  std::size_t total = std::visit([](const auto& tower) { return tower.bytes(); }, tower_) +
                      projector_.bytes() + (neck_ ? neck_->bytes() : 0);
  for (const Projector& projector : deepstack_) total += projector.bytes();
  return total;
}

ImageStage::Encoded ImageStage::encode(std::span<const PixelValues* const> images, Scratch& scratch) const {
  std::vector<const Patches*> tiles;
  std::vector<FeatureMap> maps;
  for (const PixelValues* image : images) {
    FeatureMap map{.grid = config().feature_grid(image->tiles.front().grid),
                   .tiles = image->grid,
                   .width = image->width,
                   .height = image->height};
    for (const Patches& tile : image->tiles) {
      tiles.push_back(&tile);
      map.rows += config().feature_rows(tile.grid);
    }
    if (!(image->tiles.back().grid == map.grid)) map.whole = image->tiles.back().grid;
    maps.push_back(map);
  }
  VisionEncoder::Encoded tower =
      std::visit([&](const auto& one) { return one.encode(tiles, scratch); }, tower_);
  if (neck_) tower.features = through_neck(*neck_, tower.features.view(), maps, scratch);
  Encoded encoded;
  encoded.projected = projector_.forward(tower.features.view(), maps, scratch);
  std::vector<std::vector<Features>> added(images.size());
  for (std::size_t i = 0; i < deepstack_.size(); ++i) {
    const std::vector<Features> one = deepstack_[i].forward(tower.taps[i].view(), maps, scratch);
    for (std::size_t image = 0; image < images.size(); ++image) added[image].push_back(one[image]);
  }
  for (std::size_t image = 0; image < images.size() && !deepstack_.empty(); ++image)
    encoded.projected[image] = side_by_side(encoded.projected[image], added[image]);
  encoded.features = std::move(tower.features);
  return encoded;
}

}  // namespace mmbatch
