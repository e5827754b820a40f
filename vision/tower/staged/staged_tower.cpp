#include "vision/tower/staged/staged_tower.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/sliced/matrix_message.h"

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

TowerStages::Block TowerStages::load_around(std::variant<AttentionPart, ChannelAttentionPart> attention,
                                            const Weights& weights, const StageConfig& stage,
                                            const std::string& prefix) const {
  const std::size_t hidden = stage.convolution.out;
  return {.before_attention = DepthwiseConvolution(weights, prefix + "conv1", hidden),
          .before_feed_forward = DepthwiseConvolution(weights, prefix + "conv2", hidden),
          .attention_norm = Norm(weights, prefix + "norm1", hidden, config_.norm),
          .feed_forward_norm = Norm(weights, prefix + "norm2", hidden, config_.norm),
          .attention = std::move(attention),
          .feed_forward = load_feed_forward(weights,
                                            {.hidden = hidden,
                                             .ffn = stage.ffn,
                                             .kind = FeedForwardKind::plain,
                                             .activation = config_.activation,
                                             .bias = Bias::present},
                                            {"", prefix + "ffn.fc1", prefix + "ffn.fc2"})};
}

TowerStages::Block TowerStages::load_block(const Weights& weights, const StageConfig& stage,
                                           const std::string& prefix) const {
  SelfAttentionNames names;
  names.query_key_value = prefix + "window_attn.qkv";
  names.output = prefix + "window_attn.proj";
  LayerConfig layer;
  layer.attention = attention_of(config_, stage);
  return load_around(load_attention(weights, layer, names), weights, stage, prefix);
}

TowerStages::Block TowerStages::load_channel_block(const Weights& weights, const StageConfig& stage,
                                                   const std::string& prefix) const {
  ChannelAttentionPart attention(
      weights, {.hidden = stage.convolution.out, .groups = stage.groups, .bias = config_.qkv_bias},
      prefix + "channel_attn.");
  return load_around(std::move(attention), weights, stage, prefix);
}

TowerStages::TowerStages(Weights weights, const VisionConfig& config, const std::string& prefix)
    : name_(prefix + "convs.0.conv"), image_size_(config.image_size), config_(*config.staged) {
  if (weights.slices && !config_.some_divided(weights.slices->count())) weights.slices.reset();
  slices_ = weights.slices;
  for (std::size_t i = 0; i < config_.stages.size(); ++i) {
    const StageConfig& stage = config_.stages[i];
    const std::string convolution = fmt::format("{}convs.{}.", prefix, i);
    const bool before = stage.norm == StageNorm::before_convolution;
    Stage loaded{.convolution = Convolution(weights, convolution + "conv", stage.convolution),
                 .norm = Norm(weights, convolution + "norm",
                              before ? stage.convolution.in : stage.convolution.out, config_.norm),
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

std::size_t TowerStages::bytes() const {
  const auto bytes = [](const auto& part) { return part.bytes(); };
  std::size_t total = 0;
  for (const Stage& stage : stages_) {
    total += stage.convolution.bytes();
    for (const Block& block : stage.blocks) {
      const auto* channels = std::get_if<ChannelAttentionPart>(&block.attention);
      total += block.before_attention.bytes() + block.before_feed_forward.bytes() +
               std::visit(bytes, block.feed_forward) +
               (channels != nullptr ? channels->bytes()
                                    : std::visit(bytes, std::get<AttentionPart>(block.attention)));
    }
  }
  return total;
}

void TowerStages::attend_in_windows(const AttentionPart& attention, MatrixView<const float> normed,
                                    MatrixView<float> x, const GridSize& size, Scratch& scratch) const {
  const std::size_t side = config_.window, in_window = side * side;
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
  std::visit([&](const auto& part) { part.forward({windows.view()}, windows.view(), input, {}, scratch); },
             attention);
  parallel_rows(x.rows,
                [&](std::size_t p) { simd().add(x.row(p), windows.row(place_in_windows(p)), x.cols); });
}

void TowerStages::run(const Block& block, Matrix<float>& x, const GridSize& size, Scratch& scratch) const {
  x = block.before_attention.forward(x.view(), size);
  if (const auto* channels = std::get_if<ChannelAttentionPart>(&block.attention)) {
    channels->forward({x.view(), &block.attention_norm}, x.view(), scratch);
  } else {
    Matrix<float> normed(x.rows(), x.cols());
    block.attention_norm.forward(x.view(), normed.view());
    attend_in_windows(std::get<AttentionPart>(block.attention), normed.view(), x.view(), size, scratch);
  }
  x = block.before_feed_forward.forward(x.view(), size);
  std::visit(
      [&](const auto& part) {
        part.forward({x.view(), &block.feed_forward_norm}, x.view(), {.activation = {}, .accumulate = true},
                     scratch);
      },
      block.feed_forward);
}

Matrix<float> TowerStages::forward(Matrix<float> places, Scratch& scratch) const {
  if (!slices_) return compute(std::move(places), scratch);
  Matrix<float> made;
  const auto message = [&] {
    MessageWriter writer = Slices::message_to(name_);
    put_matrix(writer, places.view());
    return writer;
  };
  slices_->together(message, [&] { made = compute(std::move(places), scratch); });
  return made;
}

void TowerStages::follow(MessageReader& message) const {
  compute(take_matrix(message), following_);
}

Matrix<float> TowerStages::compute(Matrix<float> x, Scratch& scratch) const {
  GridSize size{image_size_, image_size_};
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
  return x;
}

StagedTower::StagedTower(const Weights& weights, VisionConfig config, const std::string& prefix)
    : config_(std::move(config)), stages_(std::make_shared<const TowerStages>(weights, config_, prefix)) {}

std::shared_ptr<const SharedWork> StagedTower::part(const Weights& weights, const VisionConfig& config,
                                                    const std::string& prefix) {
  if (!config.staged->some_divided(weights.slices->count())) return nullptr;
  auto stages = std::make_shared<const TowerStages>(weights, config, prefix);
  weights.slices->share(stages->name(), stages);
  return stages;
}

VisionEncoder::Encoded StagedTower::encode(std::span<const Patches* const> images, Scratch& scratch) const {
  const std::size_t rows = config_.grid().count();
  VisionEncoder::Encoded encoded;
  encoded.features = Matrix<float>(images.size() * rows, config_.hidden());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Matrix<float> x = stages_->forward(places_of(*images[i], config_.image_size), scratch);
    std::memcpy(encoded.features.row(i * rows), x.data(), rows * x.cols() * sizeof(float));
  }
  return encoded;
}

}  // namespace mmbatch
