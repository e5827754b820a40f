#include "engine/nn/encoder_stack.h"

#include <algorithm>

namespace mmbatch {

EncoderStack::EncoderStack(const Weights& weights, const LayerConfig& layer, std::size_t layers,
                           const LayerNames& names) {
  layers_.reserve(layers);
  for (std::size_t i = 0; i < layers; ++i) layers_.emplace_back(weights, layer, names.of(i));
}

void EncoderStack::forward(MatrixView<float> x, std::span<const std::size_t> rows, Scratch& scratch) const {
  // Enough rows for products at full speed; what the layers hand on need not be kept for more.
  constexpr std::size_t kRows = 1024;
  std::size_t begin = 0, count = 0, first = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i > begin && count + rows[i] > kRows) {
      forward_some(x.row_range(first, count), rows.subspan(begin, i - begin), scratch);
      first += count;
      begin = i;
      count = 0;
    }
    count += rows[i];
  }
  if (count > 0) forward_some(x.row_range(first, count), rows.subspan(begin), scratch);
}

void EncoderStack::forward_some(MatrixView<float> x, std::span<const std::size_t> rows,
                                Scratch& scratch) const {
  std::vector<PositionRange> all;
  for (const std::size_t count : rows) all.push_back({0, count});
  std::vector<AttentionSpan> spans(rows.size());
  for (std::size_t i = 0, first = 0; i < spans.size(); first += rows[i++]) {
    spans[i].first_row = first;
    spans[i].count = rows[i];
    spans[i].bidirectional = {&all[i], 1};
  }
  AttentionInput input;
  input.spans = spans;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    layers_[layer].forward(x, input, scratch);
    if (scratch.on_layer) scratch.on_layer(layer, x);
  }
}

std::size_t EncoderStack::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) total += layer.bytes();
  return total;
}

}  // namespace mmbatch
