#include "engine/nn/encoder_stack.h"

#include <algorithm>

namespace mmbatch {

EncoderStack::EncoderStack(const Weights& weights, const LayerConfig& layer, std::size_t layers,
                           const LayerNames& names) {
  layers_.reserve(layers);
  for (std::size_t i = 0; i < layers; ++i) layers_.emplace_back(weights, layer, names.of(i));
}

void EncoderStack::forward(MatrixView<float> x, std::size_t rows, Scratch& scratch) const {
  // Enough rows for products at full speed; what the layers hand on need not be kept for more.
  constexpr std::size_t kRows = 1024;
  const std::size_t some = std::max<std::size_t>(1, kRows / rows) * rows;
  for (std::size_t first = 0; first < x.rows; first += some)
    forward_some(x.row_range(first, std::min(some, x.rows - first)), rows, scratch);
}

void EncoderStack::forward_some(MatrixView<float> x, std::size_t rows, Scratch& scratch) const {
  const PositionRange all{0, rows};
  std::vector<AttentionSpan> spans(x.rows / rows);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    spans[i].first_row = i * rows;
    spans[i].count = rows;
    spans[i].bidirectional = {&all, 1};
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
