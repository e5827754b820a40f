#include "vision/tower/encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"
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

void check_grid(const PatchGrid& found, const VisionConfig& config) {
  const PatchGrid& stored = config.grid();
  if (found == stored) return;
  throw ItemError(
      ErrorCode::invalid_value,
      fmt::format("an image of {} x {} patches; this vision tower has position embeddings for {} x {}",
                  found.columns, found.rows, stored.columns, stored.rows));
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
    for (std::size_t p = config_.class_rows(); p < config_.positions(); ++p) {
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

/// @param x [class_rows + patches, hidden]
void VisionEncoder::embed(const Patches& image, MatrixView<float> x) const {
  const std::size_t first = config_.class_rows();
  if (first == 1) std::copy(class_embedding_.begin(), class_embedding_.end(), x.row(0));
  patch_embedding_.forward(image.values.view(), x.row_range(first, image.grid.count()));
  parallel_rows(x.rows,
                [&](std::size_t r) { simd().add(x.row(r), &position_embedding_[r * x.cols], x.cols); });
}

Matrix<float> VisionEncoder::encode(std::span<const Patches* const> images, Scratch& scratch) const {
  std::vector<std::size_t> rows;
  std::size_t all = 0, tokens = 0;
  for (const Patches* image : images) {
    check_grid(image->grid, config_);
    rows.push_back(config_.class_rows() + image->grid.count());
    all += rows.back();
    tokens += config_.feature_rows(image->grid);
  }
  const MatrixView<float> x = scratch.take(Scratch::stream, all, config_.hidden());
  for (std::size_t i = 0, first = 0; i < images.size(); first += rows[i++])
    embed(*images[i], x.row_range(first, rows[i]));
  if (!config_.norm_before.empty()) norm_before_.forward(x, x);
  blocks_.forward(x, rows, scratch);
  if (!config_.norm_after.empty()) norm_after_.forward(x, x);

  Matrix<float> features(tokens, config_.hidden());
  std::size_t out = 0, first = 0;
  for (std::size_t i = 0; i < images.size(); first += rows[i++]) {
    const std::size_t kept = config_.feature_rows(images[i]->grid);
    std::memcpy(features.row(out), x.row(first + rows[i] - kept), kept * x.cols * sizeof(float));
    out += kept;
  }
  return features;
}

}  // namespace mmbatch
