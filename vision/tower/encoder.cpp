#include "vision/tower/encoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/error.h"
#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

constexpr std::size_t kChannels = 3;

/// A kernel [hidden, 3, frames, patch, patch] over frames that are all the same picture: one over the
/// picture, [hidden, 3 · patch²], which is the sum over its frames.
std::vector<float> sum_over_frames(const TensorView& kernel, std::size_t frames, std::size_t pixels) {
  const std::vector<float> stored = to_floats(kernel);
  std::vector<float> sums(stored.size() / frames, 0.0f);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::size_t channel = i / pixels, pixel = i % pixels;
    for (std::size_t frame = 0; frame < frames; ++frame)
      sums[i] += stored[(channel * frames + frame) * pixels + pixel];
  }
  return sums;
}

/// A kernel [hidden, pixels · 3] as one [hidden, 3 · pixels].
std::vector<float> by_channel(const TensorView& kernel, std::size_t pixels) {
  const std::vector<float> stored = to_floats(kernel);
  std::vector<float> sorted(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const std::size_t hidden = i / (pixels * kChannels), pixel = i / kChannels % pixels;
    sorted[(hidden * kChannels + i % kChannels) * pixels + pixel] = stored[i];
  }
  return sorted;
}

/// The patch convolution as one product: its kernel [hidden, 3, patch, patch] read as [hidden, 3 · patch²].
PackedMatrix load_patch_kernel(const Weights& weights, const std::string& name, const VisionConfig& config) {
  const std::size_t side = config.patch_size, hidden = config.hidden(), frames = config.frames;
  const std::vector<std::size_t> flat = {hidden, kChannels * side * side};
  const Weights edge = weights.in(edge_precision(weights.precision));
  if (config.patch_kernel == PatchKernel::pixels || weights.source.tensor(name).packed)
    return PackedMatrix({edge.pack(weights.tensor(name, flat))});
  TensorView kernel;
  std::vector<float> values;  // where they are not as they are stored
  if (config.patch_kernel == PatchKernel::by_pixel) {
    kernel = weights.tensor(name, flat);
    values = by_channel(kernel, side * side);
  } else if (frames == 0) {
    kernel = weights.tensor(name, {hidden, kChannels, side, side});
  } else {
    kernel = weights.tensor(name, {hidden, kChannels, frames, side, side});
    values = sum_over_frames(kernel, frames, side * side);
  }
  if (values.empty())
    kernel.shape = flat;
  else
    kernel = with_values(kernel, flat, values);
  return PackedMatrix({edge.pack(kernel)});
}

/// The kernel of frames that differ, [hidden, 3 · frames · patch²]; none in a folder that was packed before
/// videos were taken.
std::optional<PackedMatrix> load_frame_kernel(const Weights& weights, const std::string& name,
                                              const VisionConfig& config) {
  const std::size_t side = config.patch_size, hidden = config.hidden(), frames = config.frames;
  const std::vector<std::size_t> flat = {hidden, kChannels * frames * side * side};
  const std::string packed = name + ".frames";
  const Weights edge = weights.in(edge_precision(weights.precision));
  if (weights.source.packed()) {
    if (!weights.has(packed)) return std::nullopt;
    return PackedMatrix({edge.pack(weights.tensor(packed, flat))});
  }
  TensorView kernel = weights.tensor(name, {hidden, kChannels, frames, side, side});
  kernel.name = packed;
  kernel.shape = flat;
  return PackedMatrix({edge.pack(kernel)});
}

EncoderStackConfig stack_of(const VisionConfig& config, const std::string& prefix) {
  EncoderStackConfig stack{.layer = config.layer,
                           .layers = config.relative ? 0 : config.run_layers,
                           .names = config.layer_names.below(prefix),
                           .windowed = {},
                           .attends = EncoderAttention::all};
  for (std::size_t layer = 0; config.windows && layer < config.run_layers; ++layer) {
    const auto& whole = config.windows->whole_layers;
    if (std::find(whole.begin(), whole.end(), layer) == whole.end()) stack.windowed.push_back(layer);
  }
  return stack;
}

/// out[i] = from[order[i]]
Matrix<float> gathered(MatrixView<const float> from, std::span<const std::size_t> order) {
  Matrix<float> out(order.size(), from.cols);
  parallel_rows(order.size(), [&](std::size_t i) {
    std::memcpy(out.row(i), from.row(order[i]), from.cols * sizeof(float));
  });
  return out;
}

/// to[order[i]] = from[i]
void scatter(MatrixView<const float> from, std::span<const std::size_t> order, MatrixView<float> to) {
  parallel_rows(order.size(), [&](std::size_t i) {
    std::memcpy(to.row(order[i]), from.row(i), from.cols * sizeof(float));
  });
}

}  // namespace

VisionEncoder::VisionEncoder(const Weights& weights, VisionConfig config, const std::string& prefix)
    : config_(std::move(config)), blocks_(weights, stack_of(config_, prefix)) {
  const std::size_t hidden = config_.hidden();
  if (config_.relative)
    grid_blocks_ = GridBlocks(weights, {config_.run_layers, config_.layer, config_.layer_names.below(prefix)},
                              *config_.relative, prefix);
  if (!config_.class_token.empty())
    class_embedding_ = to_floats(weights.parameter(prefix + config_.class_token, {hidden}));
  positions_ = PositionTable(
      weights, config_.positions,
      {.prefix = prefix, .class_rows = config_.class_rows(), .grid = config_.grid(), .hidden = hidden});
  std::vector<float> bias;
  if (config_.patch_bias == Bias::present)
    bias = to_floats(weights.tensor(prefix + config_.patch_embedding + ".bias", {hidden}));
  if (positions_.fixed() && !bias.empty()) {
    // Every patch gets the bias and its position: one sum.
    positions_.add_to_patches(bias);
    bias.clear();
  }
  const std::string kernel = prefix + config_.patch_embedding + ".weight";
  if (config_.input == TowerInput::pictures_and_videos && config_.frames > 1) {
    if (auto frames = load_frame_kernel(weights, kernel, config_))
      frame_embedding_.emplace(std::move(*frames), bias);
  }
  patch_embedding_ = Linear(load_patch_kernel(weights, kernel, config_), std::move(bias));
  const NormConfig& norm = config_.layer.norm;
  const std::size_t values = kChannels * config_.patch_size * config_.patch_size;
  if (!config_.norm_of_values.empty())
    norm_of_values_ = Norm(weights, prefix + config_.norm_of_values, values, norm);
  if (!config_.norm_of_patches.empty())
    norm_of_patches_ = Norm(weights, prefix + config_.norm_of_patches, hidden, norm);
  if (!config_.norm_before.empty()) norm_before_ = Norm(weights, prefix + config_.norm_before, hidden, norm);
  if (!config_.norm_after.empty()) norm_after_ = Norm(weights, prefix + config_.norm_after, hidden, norm);
}

std::size_t VisionEncoder::bytes() const {
  return patch_embedding_.bytes() + (frame_embedding_ ? frame_embedding_->bytes() : 0) + positions_.bytes() +
         blocks_.bytes() + grid_blocks_.bytes();
}

const Linear& VisionEncoder::kernel_for(const Patches& image) const {
  const std::size_t picture = kChannels * config_.patch_size * config_.patch_size;
  if (image.values.cols() == picture) return patch_embedding_;
  if (frame_embedding_) return *frame_embedding_;
  throw ItemError(
      ErrorCode::invalid_value,
      "this model's folder was packed before video input was supported: pack it again (mmbatch quantize), "
      "or set 'video_input: frames'");
}

/// @param x [class_rows + patches, hidden]
void VisionEncoder::embed(const Patches& image, MatrixView<float> x, const Scratch& scratch) const {
  const std::size_t first = config_.class_rows();
  if (first == 1) std::copy(class_embedding_.begin(), class_embedding_.end(), x.row(0));
  const MatrixView<float> patches = x.row_range(first, image.grid.count());
  LayerInput values{image.values.view(), config_.norm_of_values.empty() ? nullptr : &norm_of_values_};
  Matrix<float> centred;
  if (config_.patch_values == PatchValues::centred) {
    centred = Matrix<float>(values.x.rows, values.x.cols);
    std::transform(image.values.data(), image.values.data() + centred.rows() * centred.cols(), centred.data(),
                   [](float x) { return 2 * (x - 0.5f); });
    values.x = centred.view();
  }
  kernel_for(image).forward(values, patches);
  if (!config_.norm_of_patches.empty()) norm_of_patches_.forward(patches, patches);
  if (scratch.on_input) scratch.on_input(Scratch::Before::positions, patches);
  positions_.add_to(x, image.grid, config_.order);
}

VisionEncoder::Encoded VisionEncoder::encode(std::span<const Patches* const> images, Scratch& scratch) const {
  std::vector<std::size_t> rows;
  std::size_t all = 0;
  for (const Patches* image : images) {
    rows.push_back(config_.class_rows() + image->grid.count());
    all += rows.back();
  }
  const MatrixView<float> x = scratch.take(Scratch::stream, all, config_.hidden());
  for (std::size_t i = 0, first = 0; i < images.size(); first += rows[i++])
    embed(*images[i], x.row_range(first, rows[i]), scratch);
  if (!config_.norm_before.empty()) norm_before_.forward(x, x);

  Encoded encoded;
  for (std::size_t i = 0; i < config_.taps.size(); ++i) encoded.taps.emplace_back(all, config_.hidden());
  RopeAngles rope;
  if (config_.rope)
    rope = grid_rope_angles(*config_.rope, config_.layer.attention.shape.head_dim, images, config_.order);
  const Rows given{.x = x, .sequences = rows, .rope = config_.rope ? &rope : nullptr, .taps = encoded.taps};
  if (config_.relative)
    for (std::size_t i = 0, first = 0; i < images.size(); first += rows[i++])
      grid_blocks_.forward(x.row_range(first, rows[i]), images[i]->grid, scratch);
  else if (config_.windows)
    run_in_windows(window_order(*config_.windows, images, config_.order), given, scratch);
  else
    run_blocks(given, {}, scratch);
  if (!config_.norm_after.empty()) norm_after_.forward(x, x);
  encoded.features = select(images, x);
  return encoded;
}

void VisionEncoder::run_blocks(const Rows& rows, std::span<const std::size_t> windows,
                               Scratch& scratch) const {
  if (scratch.on_input) scratch.on_input(Scratch::Before::layers, rows.x);
  std::vector<LayerTap> taps;
  for (std::size_t i = 0; i < config_.taps.size(); ++i)
    taps.push_back({config_.taps[i], rows.taps[i].view()});
  blocks_.forward(rows.x, {.sequences = rows.sequences, .windows = windows, .rope = rows.rope, .taps = taps},
                  scratch);
}

void VisionEncoder::run_in_windows(const WindowOrder& order, const Rows& rows, Scratch& scratch) const {
  Matrix<float> x = gathered(rows.x, order.rows);
  RopeAngles rope;
  if (rows.rope != nullptr)
    rope = {gathered(rows.rope->cosine.view(), order.rows), gathered(rows.rope->sine.view(), order.rows)};
  if (rows.rope != nullptr) rope.parts = rows.rope->parts;
  run_blocks({.x = x.view(),
              .sequences = rows.sequences,
              .rope = rows.rope != nullptr ? &rope : nullptr,
              .taps = rows.taps},
             order.windows, scratch);
  scatter(x.view(), order.rows, rows.x);
  for (Matrix<float>& tap : rows.taps) {
    const Matrix<float> by_window = std::exchange(tap, Matrix<float>(tap.rows(), tap.cols()));
    scatter(by_window.view(), order.rows, tap.view());
  }
}

Matrix<float> VisionEncoder::select(std::span<const Patches* const> images, MatrixView<const float> x) const {
  std::size_t tokens = 0, out = 0, first = 0;
  for (const Patches* image : images) tokens += config_.feature_rows(image->grid);
  Matrix<float> features(tokens, x.cols);
  for (const Patches* image : images) {
    const std::size_t rows = config_.class_rows() + image->grid.count();
    const std::size_t kept = config_.feature_rows(image->grid);
    std::memcpy(features.row(out), x.row(first + rows - kept), kept * x.cols * sizeof(float));
    out += kept;
    first += rows;
  }
  return features;
}

}  // namespace mmbatch
