#include "engine/nn/encoder/stack_layers.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/nn/sliced/matrix_message.h"

namespace mmbatch {
namespace {

/// Runs of rows that see each other, or those before them.
struct Spans {
  std::vector<PositionRange> all;
  std::vector<AttentionSpan> spans;

  /// @param ranges rows of each run that see each other
  Spans(std::span<const std::size_t> rows, EncoderAttention attends, std::span<const std::size_t> ranges)
      : spans(rows.size()) {
    for (const std::size_t count : ranges) all.push_back({0, count});
    for (std::size_t i = 0, first = 0; i < spans.size(); first += rows[i++]) {
      spans[i].first_row = first;
      spans[i].count = rows[i];
      if (attends != EncoderAttention::causal) spans[i].bidirectional = {&all[i], 1};
    }
  }
};

void copy_rows(MatrixView<const float> from, MatrixView<float> to) {
  for (std::size_t r = 0; r < from.rows; ++r) std::memcpy(to.row(r), from.row(r), from.cols * sizeof(float));
}

void put_all(MessageWriter& message, std::span<const std::size_t> counts) {
  message.put(std::vector<std::size_t>(counts.begin(), counts.end()));
}

}  // namespace

StackLayers::StackLayers(const Weights& weights, const EncoderStackConfig& config)
    : name_(config.names.attention.query.empty() ? config.names.attention.query_key_value
                                                 : config.names.attention.query),
      slices_(weights.slices),
      cross_(config.layer.cross_attention),
      attends_(config.attends) {
  layers_.reserve(config.layers);
  for (std::size_t i = 0; i < config.layers; ++i) {
    layers_.emplace_back(weights, config.layer, config.names.of(i));
    const auto& windowed = config.windowed;
    windowed_.push_back(std::find(windowed.begin(), windowed.end(), i) != windowed.end());
  }
}

void StackLayers::forward(MatrixView<float> x, const StackPart& part, const RopeAngles* rope,
                          std::span<const LayerTap> taps, Scratch& scratch) const {
  if (!slices_) return compute(x, part, rope, taps, scratch);
  slices_->together([&] { return message(x, part, rope); }, [&] { compute(x, part, rope, taps, scratch); });
}

void StackLayers::compute(MatrixView<float> x, const StackPart& part, const RopeAngles* rope,
                          std::span<const LayerTap> taps, Scratch& scratch) const {
  const bool prefix = attends_ == EncoderAttention::prefix;
  const Spans sequences(part.sequences, attends_, prefix ? part.prefixes : part.sequences);
  const Spans windows(part.windows, attends_, part.windows);
  AttentionInput attention;
  attention.rope = rope;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    attention.spans = windowed_[layer] ? windows.spans : sequences.spans;
    const auto cross = cross_spans(sequences.spans, part.cross, layer);
    attention.cross = cross;
    layers_[layer].forward(x, attention, scratch);
    for (const LayerTap& tap : taps) {
      if (tap.layer == layer) copy_rows(x, tap.rows.row_range(part.first, part.count));
    }
    if (scratch.on_layer) scratch.on_layer(layer, x);
  }
}

MessageWriter StackLayers::message(MatrixView<const float> x, const StackPart& part,
                                   const RopeAngles* rope) const {
  MessageWriter message = Slices::message_to(name_);
  put_matrix(message, x);
  put_all(message, part.sequences);
  put_all(message, part.windows);
  put_all(message, part.prefixes);
  message.put(part.cross.size());
  for (const CrossRows& rows : part.cross) put_matrix(message, rows.rows);
  message.put(rope != nullptr);
  if (rope == nullptr) return message;
  put_matrix(message, rope->cosine.view());
  put_matrix(message, rope->sine.view());
  message.put(rope->query_scale);
  message.put(rope->parts);
  return message;
}

void StackLayers::follow(MessageReader& message) const {
  Matrix<float> x = take_matrix(message);
  const auto sequences = message.take_all<std::size_t>(), windows = message.take_all<std::size_t>(),
             prefixes = message.take_all<std::size_t>();
  std::vector<Matrix<float>> seen(message.take<std::size_t>());
  std::vector<CrossRows> cross;
  for (Matrix<float>& rows : seen) {
    rows = take_matrix(message);
    cross.push_back({rows.view()});
  }
  RopeAngles rope;
  const bool rotated = message.take<bool>();
  if (rotated) {
    rope.cosine = take_matrix(message);
    rope.sine = take_matrix(message);
    rope.query_scale = message.take_all<float>();
    rope.parts = message.take<std::size_t>();
  }
  compute(x.view(),
          {.first = 0,
           .count = x.rows(),
           .sequences = sequences,
           .windows = windows,
           .prefixes = prefixes,
           .cross = cross},
          rotated ? &rope : nullptr, {}, following_);
}

std::vector<AttentionSpan> StackLayers::cross_spans(std::span<const AttentionSpan> rows,
                                                    std::span<const CrossRows> cross,
                                                    std::size_t layer) const {
  if (!cross_) return {};
  const AttentionShape& shape = cross_->shape;
  const std::size_t width = shape.kv_heads * shape.head_dim;
  std::vector<AttentionSpan> spans(rows.begin(), rows.end());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const MatrixView<const float>& seen = cross[i].rows;
    const float* keys = seen.row(0) + 2 * layer * width;
    spans[i].rows = PagedRows::floats(keys, keys + width, shape.head_dim, seen.rows, seen.stride);
    spans[i].head_stride = shape.head_dim * sizeof(float);
    spans[i].keys = PositionRange{0, seen.rows};
  }
  return spans;
}

std::size_t StackLayers::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) total += layer.bytes();
  return total;
}

}  // namespace mmbatch
