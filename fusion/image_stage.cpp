#include "fusion/image_stage.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/base/error.h"
#include "fusion/similarity.h"
#include "fusion/tiled_features.h"

namespace mmbatch {
namespace {

Config read_preprocessor(const WeightSource& weights) {
  constexpr const char* kFile = "preprocessor_config.json";
  if (!weights.has_file(kFile)) {
    throw ModelError(
        fmt::format("{}: missing; without it nobody knows how images are resized and normalised. Copy it "
                    "from the published checkpoint",
                    (weights.path() / kFile).string()));
  }
  return weights.json_file(kFile);
}

void check_size(const Config& config, int found, std::size_t wanted) {
  if (found == static_cast<int>(wanted)) return;
  throw ModelError(
      fmt::format("{}: images come out {} pixels wide or high, config.json's vision_config.image_size is {}",
                  config.source(), found, wanted));
}

/// One of the two.
struct Preparation {
  Preparation(const WeightSource& weights, const VisionSpec& spec) {
    const Config config = read_preprocessor(weights);
    if (spec.pinpoints.empty()) {
      preprocessor.emplace(config);
      check_size(config, preprocessor->output_width(), spec.encoder.image_size);
      check_size(config, preprocessor->output_height(), spec.encoder.image_size);
    } else {
      tiler.emplace(config, spec.pinpoints);
      check_size(config, tiler->tile_size(), spec.encoder.image_size);
    }
  }

  std::optional<Preprocessor> preprocessor;
  std::optional<Tiler> tiler;
};

}  // namespace

void check_preprocessing(const WeightSource& weights, const VisionSpec& spec) {
  Preparation(weights, spec);
}

ImageStage::ImageStage(const Weights& weights, const VisionSpec& spec)
    : encoder_(weights, spec.encoder, spec.prefix) {
  const Weights edges = weights.in(edge_precision(weights.precision));
  if (spec.pooling.empty())
    projector_.emplace(edges, spec.projector);
  else
    pooling_.emplace(edges, spec.encoder.layer, spec.pooling);
  Preparation preparation(weights.source, spec);
  preprocessor_ = std::move(preparation.preprocessor);
  tiler_ = std::move(preparation.tiler);
  if (!tiler_) return;
  newline_ = to_floats(weights.tensor(spec.newline, {spec.projector.layers.back().out}));
}

std::size_t ImageStage::bytes() const {
  return encoder_.bytes() + (projector_ ? projector_->bytes() : pooling_->bytes());
}

PixelValues ImageStage::preprocess(const Image& image) const {
  PixelValues values;
  values.width = image.width;
  values.height = image.height;
  if (tiler_) {
    TiledImage tiled = tiler_->apply(image);
    values.tiles = std::move(tiled.tiles);
    values.grid = tiled.grid;
  } else {
    values.tiles.push_back(preprocessor_->pixel_values(image));
  }
  return values;
}

ImageStage::Encoded ImageStage::encode(std::span<const PixelValues* const> images, Scratch& scratch) const {
  std::vector<MatrixView<const float>> tiles;
  for (const PixelValues* image : images) {
    for (const Matrix<float>& tile : image->tiles) tiles.push_back(tile.view());
  }
  Encoded encoded;
  encoded.features = encoder_.encode(tiles, scratch);
  if (pooling_) {
    encoded.projected =
        embeddings_of(pooling_->forward(encoded.features.view(), config().feature_tokens(), scratch));
    return encoded;
  }
  const Matrix<float> projected = projector_->forward(encoded.features.view());
  const std::size_t tile_tokens = config().feature_tokens();
  std::size_t row = 0;
  for (const PixelValues* image : images) {
    const auto own = projected.view().row_range(row, image->tiles.size() * tile_tokens);
    row += own.rows;
    if (tiler_) {
      encoded.projected.push_back(std::make_shared<const Matrix<float>>(
          join_tiles(own, config().grid(), image->grid, image->width, image->height, newline_)));
    } else {
      auto copy = std::make_shared<Matrix<float>>(own.rows, own.cols);
      std::memcpy(copy->data(), own.data, copy->bytes());
      encoded.projected.push_back(std::move(copy));
    }
  }
  return encoded;
}

}  // namespace mmbatch
