#include "engine/nn/encoder/encoder_stack.h"

#include <algorithm>
#include <cstring>

namespace mmbatch {

/// Whole sequences, and the windows in them, that go through all layers before the next ones do.
struct EncoderStack::Part {
  std::size_t first = 0, count = 0;  // rows
  std::span<const std::size_t> sequences, windows, prefixes;
  std::span<const CrossRows> cross;
};

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

RopeAngles rows_of(const RopeAngles& all, std::size_t first, std::size_t count) {
  RopeAngles part{Matrix<float>(count, all.cosine.cols()), Matrix<float>(count, all.cosine.cols())};
  const std::size_t bytes = count * all.cosine.cols() * sizeof(float);
  std::memcpy(part.cosine.data(), all.cosine.row(first), bytes);
  std::memcpy(part.sine.data(), all.sine.row(first), bytes);
  part.parts = all.parts;
  return part;
}

void copy_rows(MatrixView<const float> from, MatrixView<float> to) {
  for (std::size_t r = 0; r < from.rows; ++r) std::memcpy(to.row(r), from.row(r), from.cols * sizeof(float));
}

}  // namespace

EncoderStack::EncoderStack(const Weights& weights, const EncoderStackConfig& config)
    : cross_(config.layer.cross_attention), attends_(config.attends) {
  layers_.reserve(config.layers);
  for (std::size_t i = 0; i < config.layers; ++i) {
    layers_.emplace_back(weights, config.layer, config.names.of(i));
    const auto& windowed = config.windowed;
    windowed_.push_back(std::find(windowed.begin(), windowed.end(), i) != windowed.end());
  }
}

void EncoderStack::forward(MatrixView<float> x, const EncoderInput& input, Scratch& scratch) const {
  // Enough rows for products at full speed; what the layers hand on need not be kept for more.
  constexpr std::size_t kRows = 1024;
  const auto& sequences = input.sequences;
  std::size_t begin = 0, window = 0;
  Part part;
  const auto run = [&](std::size_t end) {
    part.sequences = sequences.subspan(begin, end - begin);
    if (cross_) part.cross = input.cross.subspan(begin, end - begin);
    if (attends_ == EncoderAttention::prefix) part.prefixes = input.prefixes.subspan(begin, end - begin);
    const std::size_t first_window = window;
    for (std::size_t rows = 0; window < input.windows.size() && rows < part.count; ++window)
      rows += input.windows[window];
    part.windows = input.windows.subspan(first_window, window - first_window);
    forward_part(x.row_range(part.first, part.count), part, input, scratch);
    part = {.first = part.first + part.count,
            .count = 0,
            .sequences = {},
            .windows = {},
            .prefixes = {},
            .cross = {}};
    begin = end;
  };
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (i > begin && part.count + sequences[i] > kRows) run(i);
    part.count += sequences[i];
  }
  if (part.count > 0) run(sequences.size());
}

void EncoderStack::forward_part(MatrixView<float> x, const Part& part, const EncoderInput& input,
                                Scratch& scratch) const {
  const bool prefix = attends_ == EncoderAttention::prefix;
  const Spans sequences(part.sequences, attends_, prefix ? part.prefixes : part.sequences);
  const Spans windows(part.windows, attends_, part.windows);
  RopeAngles rope;
  if (input.rope != nullptr) rope = rows_of(*input.rope, part.first, part.count);
  AttentionInput attention;
  attention.rope = input.rope != nullptr ? &rope : nullptr;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    attention.spans = windowed_[layer] ? windows.spans : sequences.spans;
    const auto cross = cross_spans(sequences.spans, part.cross, layer);
    attention.cross = cross;
    layers_[layer].forward(x, attention, scratch);
    for (const LayerTap& tap : input.taps) {
      if (tap.layer == layer) copy_rows(x, tap.rows.row_range(part.first, part.count));
    }
    if (scratch.on_layer) scratch.on_layer(layer, x);
  }
}

std::vector<AttentionSpan> EncoderStack::cross_spans(std::span<const AttentionSpan> rows,
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

std::size_t EncoderStack::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) total += layer.bytes();
  return total;
}

}  // namespace mmbatch
