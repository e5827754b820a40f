#include "vision/tower/staged/staged_tower.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "engine/kernels/rows.h"

namespace mmbatch {
namespace {

constexpr std::size_t kChannels = 3;

/// Pixel values plane by plane become places with their channels side by side.
Matrix<float> places_of(const Patches& image, std::size_t side) {
  Matrix<float> places(side * side, kChannels);
  const float* planes = image.values.data();
  parallel_rows(places.rows(), [&](std::size_t p) {
    for (std::size_t c = 0; c < kChannels; ++c) places.row(p)[c] = planes[c * side * side + p];
  });
  return places;
}

SelfAttentionConfig attention_of(const StagedTowerConfig& tower, const StageConfig& stage) {
  SelfAttentionConfig attention;
  attention.hidden = stage.convolution.out;
  attention.bias = tower.qkv_bias;
  attention.output_bias = Bias::present;
  AttentionShape& shape = attention.shape;
  shape.heads = shape.kv_heads = stage.heads;
  shape.head_dim = attention.hidden / stage.heads;
  shape.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  return attention;
}

}  // namespace

void StagedTower::load_shared(const Weights& weights, const StageConfig& stage, const std::string& prefix,
                              Block& block) const {
  const StagedTowerConfig& tower = *config_.staged;
  const std::size_t hidden = stage.convolution.out;
  block.before_attention = DepthwiseConvolution(weights, prefix + "conv1", hidden);
  block.before_feed_forward = DepthwiseConvolution(weights, prefix + "conv2", hidden);
  block.attention_norm = Norm(weights, prefix + "norm1", hidden, tower.norm);
  block.feed_forward_norm = Norm(weights, prefix + "norm2", hidden, tower.norm);
  block.feed_forward = FeedForward(weights,
                                   {.hidden = hidden,
                                    .ffn = stage.ffn,
                                    .kind = FeedForwardKind::plain,
                                    .activation = tower.activation,
                                    .bias = Bias::present},
                                   {"", prefix + "ffn.fc1", prefix + "ffn.fc2"});
}

StagedTower::Block StagedTower::load_block(const Weights& weights, const StageConfig& stage,
                                           const std::string& prefix) const {
  Block block;
  load_shared(weights, stage, prefix, block);
  SelfAttentionNames names;
  names.query_key_value = prefix + "window_attn.qkv";
  names.output = prefix + "window_attn.proj";
  block.attention = SelfAttention(weights, attention_of(*config_.staged, stage), names);
  return block;
}

StagedTower::Block StagedTower::load_channel_block(const Weights& weights, const StageConfig& stage,
                                                   const std::string& prefix) const {
  Block block;
  load_shared(weights, stage, prefix, block);
  block.attention = ChannelAttention(
      weights, {.hidden = stage.convolution.out, .groups = stage.groups, .bias = config_.staged->qkv_bias},
      prefix + "channel_attn.");
  return block;
}

StagedTower::StagedTower(const Weights& weights, VisionConfig config, const std::string& prefix)
    : config_(std::move(config)) {
  const StagedTowerConfig& tower = *config_.staged;
  for (std::size_t i = 0; i < tower.stages.size(); ++i) {
    const StageConfig& stage = tower.stages[i];
    const std::string convolution = fmt::format("{}convs.{}.", prefix, i);
    const bool before = stage.norm == StageNorm::before_convolution;
    Stage loaded{.convolution = Convolution(weights, convolution + "conv", stage.convolution),
                 .norm = Norm(weights, convolution + "norm",
                              before ? stage.convolution.in : stage.convolution.out, tower.norm),
                 .config = stage,
                 .blocks = {}};
    for (std::size_t pair = 0; pair < stage.depth; ++pair) {
      const std::string block = fmt::format("{}blocks.{}.{}.", prefix, i, pair);
      loaded.blocks.push_back(load_block(weights, stage, block + "spatial_block."));
      loaded.blocks.push_back(load_channel_block(weights, stage, block + "channel_block."));
    }
    stages_.push_back(std::move(loaded));
  }
}

std::size_t StagedTower::bytes() const {
  std::size_t total = 0;
  for (const Stage& stage : stages_) {
    total += stage.convolution.bytes();
    for (const Block& block : stage.blocks) {
      total += block.before_attention.bytes() + block.before_feed_forward.bytes() +
               block.feed_forward.bytes() +
               std::visit([](const auto& attention) { return attention.bytes(); }, block.attention);
    }
  }
  return total;
}

void StagedTower::attend_in_windows(const SelfAttention& attention, MatrixView<const float> normed,
                                    MatrixView<float> x, const GridSize& size, Scratch& scratch) const {
  const std::size_t side = config_.staged->window, in_window = side * side;
  const std::size_t down = (size.rows + side - 1) / side, across = (size.columns + side - 1) / side;
  auto windows = Matrix<float>::zeros(down * across * in_window, x.cols);
  const auto place_in_windows = [&](std::size_t place) {
    const std::size_t row = place / size.columns, column = place % size.columns;
    return (row / side * across + column / side) * in_window + row % side * side + column % side;
  };
  parallel_rows(x.rows, [&](std::size_t p) {
    std::memcpy(windows.row(place_in_windows(p)), normed.row(p), x.cols * sizeof(float));
  });
  const PositionRange all{0, in_window};
  std::vector<AttentionSpan> spans(down * across);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    spans[i].first_row = i * in_window;
    spans[i].count = in_window;
    spans[i].bidirectional = {&all, 1};
  }
  AttentionInput input;
  input.spans = spans;
  attention.forward({windows.view()}, windows.view(), input, {}, scratch);
  parallel_rows(x.rows,
                [&](std::size_t p) { simd().add(x.row(p), windows.row(place_in_windows(p)), x.cols); });
}

void StagedTower::run(const Block& block, Matrix<float>& x, const GridSize& size, Scratch& scratch) const {
  x = block.before_attention.forward(x.view(), size);
  if (const auto* channels = std::get_if<ChannelAttention>(&block.attention)) {
    channels->forward({x.view(), &block.attention_norm}, x.view());
  } else {
    Matrix<float> normed(x.rows(), x.cols());
    block.attention_norm.forward(x.view(), normed.view());
    attend_in_windows(std::get<SelfAttention>(block.attention), normed.view(), x.view(), size, scratch);
  }
  x = block.before_feed_forward.forward(x.view(), size);
  block.feed_forward.forward({x.view(), &block.feed_forward_norm}, x.view(),
                             {.activation = {}, .accumulate = true}, scratch);
}

VisionEncoder::Encoded StagedTower::encode(std::span<const Patches* const> images, Scratch& scratch) const {
  const std::size_t rows = config_.grid().count();
  VisionEncoder::Encoded encoded;
  encoded.features = Matrix<float>(images.size() * rows, config_.hidden());
  for (std::size_t i = 0; i < images.size(); ++i) {
    GridSize size{config_.image_size, config_.image_size};
    Matrix<float> x = places_of(*images[i], config_.image_size);
    std::size_t number = 0;
    for (const Stage& stage : stages_) {
      const bool before = stage.config.norm == StageNorm::before_convolution;
      if (before) stage.norm.forward(x.view(), x.view());
      x = stage.convolution.forward(x.view(), size);
      if (!before) stage.norm.forward(x.view(), x.view());
      size = stage.config.convolution.output(size);
      if (number == 0 && scratch.on_input) scratch.on_input(Scratch::Before::layers, x.view());
      for (const Block& block : stage.blocks) {
        run(block, x, size, scratch);
        if (scratch.on_layer) scratch.on_layer(number, x.view());
        ++number;
      }
    }
    std::memcpy(encoded.features.row(i * rows), x.data(), rows * x.cols() * sizeof(float));
  }
  return encoded;
}

}  // namespace mmbatch
