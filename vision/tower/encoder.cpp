#include "vision/tower/encoder.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {
namespace {

constexpr std::size_t kChannels = 3;

/// The patch convolution as one product: its kernel [hidden, 3, patch, patch] read as [hidden, 3 · patch²].
Linear load_patch_embedding(const Weights& weights, const std::string& name, const VisionConfig& config) {
  const std::size_t side = config.patch_size;
  const std::vector<std::size_t> flat = {config.hidden(), kChannels * side * side};
  const bool packed = weights.source.tensor(name + ".weight").packed.has_value();
  TensorView kernel = packed ? weights.tensor(name + ".weight", flat)
                             : weights.tensor(name + ".weight", {config.hidden(), kChannels, side, side});
  kernel.shape = flat;
  return Linear(PackedMatrix({weights.in(edge_precision(weights.precision)).pack(kernel)}));
}

}  // namespace

VisionEncoder::VisionEncoder(const Weights& weights, VisionConfig config, const std::string& prefix)
    : config_(std::move(config)),
      patch_embedding_(load_patch_embedding(weights, prefix + "embeddings.patch_embedding", config_)),
      blocks_(weights, config_.layer, config_.run_layers, config_.layer_names.below(prefix)) {
  const std::size_t hidden = config_.hidden();
  if (!config_.class_token.empty()) {
    class_embedding_ = to_floats(weights.tensor(prefix + config_.class_token, {hidden}));
  }
  position_embedding_ = to_floats(
      weights.tensor(prefix + "embeddings.position_embedding.weight", {config_.positions(), hidden}));
  if (config_.patch_bias == Bias::present) {
    // Every patch gets the bias and its position: one sum.
    const std::vector<float> bias =
        to_floats(weights.tensor(prefix + "embeddings.patch_embedding.bias", {hidden}));
    const std::size_t first = config_.positions() - config_.patches();
    for (std::size_t p = first; p < config_.positions(); ++p) {
      for (std::size_t i = 0; i < hidden; ++i) position_embedding_[p * hidden + i] += bias[i];
    }
  }
  const NormConfig& norm = config_.layer.norm;
  if (!config_.norm_before.empty()) norm_before_ = Norm(weights, prefix + config_.norm_before, hidden, norm);
  if (!config_.norm_after.empty()) norm_after_ = Norm(weights, prefix + config_.norm_after, hidden, norm);
}

std::size_t VisionEncoder::bytes() const {
  return patch_embedding_.bytes() + position_embedding_.size() * sizeof(float) + blocks_.bytes();
}

/// @param x [positions, hidden]
void VisionEncoder::embed(MatrixView<const float> image, MatrixView<float> x) const {
  const std::size_t side = config_.patch_size, grid = config_.grid(), size = config_.image_size;
  Matrix<float> patches(config_.patches(), kChannels * side * side);
  parallel_rows(patches.rows(), [&](std::size_t p) {
    float* to = patches.row(p);
    for (std::size_t c = 0; c < kChannels; ++c) {
      for (std::size_t y = 0; y < side; ++y, to += side) {
        const float* from = image.row(c) + (p / grid * side + y) * size + p % grid * side;
        std::memcpy(to, from, side * sizeof(float));
      }
    }
  });
  const std::size_t first = config_.positions() - config_.patches();
  if (first == 1) std::copy(class_embedding_.begin(), class_embedding_.end(), x.row(0));
  patch_embedding_.forward(patches.view(), x.row_range(first, config_.patches()));
  parallel_rows(x.rows,
                [&](std::size_t r) { simd().add(x.row(r), &position_embedding_[r * x.cols], x.cols); });
}

Matrix<float> VisionEncoder::encode(std::span<const MatrixView<const float>> images, Scratch& scratch) const {
  const std::size_t positions = config_.positions(), hidden = config_.hidden();
  const MatrixView<float> x = scratch.take(Scratch::stream, images.size() * positions, hidden);
  for (std::size_t i = 0; i < images.size(); ++i) {
    assert(images[i].rows == kChannels && images[i].cols == config_.image_size * config_.image_size);
    embed(images[i], x.row_range(i * positions, positions));
  }
  if (!config_.norm_before.empty()) norm_before_.forward(x, x);
  blocks_.forward(x, positions, scratch);
  if (!config_.norm_after.empty()) norm_after_.forward(x, x);

  const std::size_t tokens = config_.feature_tokens(), first = positions - tokens;
  Matrix<float> features(images.size() * tokens, hidden);
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::memcpy(features.row(i * tokens), x.row(i * positions + first), tokens * hidden * sizeof(float));
  }
  return features;
}

}  // namespace mmbatch
