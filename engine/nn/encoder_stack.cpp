#include "engine/nn/encoder_stack.h"

#include <algorithm>

namespace mmbatch {
namespace {

BlockNames block_names(const std::string& prefix) {
  BlockNames names;
  names.attention = {prefix + "self_attn.q_proj", prefix + "self_attn.k_proj", prefix + "self_attn.v_proj",
                     prefix + "self_attn.out_proj"};
  names.feed_forward = {"", prefix + "mlp.fc1", prefix + "mlp.fc2"};
  names.before_attention = prefix + "layer_norm1";
  names.before_feed_forward = prefix + "layer_norm2";
  return names;
}

}  // namespace

EncoderStack::EncoderStack(const Weights& weights, const BlockConfig& block, std::size_t layers,
                           const std::string& prefix) {
  for (std::size_t layer = 0; layer < layers; ++layer) {
    blocks_.emplace_back(weights, block,
                         block_names(prefix + "encoder.layers." + std::to_string(layer) + "."));
  }
}

void EncoderStack::forward(MatrixView<float> x, std::size_t rows, Scratch& scratch) const {
  // Enough rows for products at full speed; what the layers hand on need not be kept for more.
  constexpr std::size_t kRows = 1024;
  const std::size_t some = std::max<std::size_t>(1, kRows / rows) * rows;
  for (std::size_t first = 0; first < x.rows; first += some)
    forward_some(x.row_range(first, std::min(some, x.rows - first)), rows, scratch);
}

void EncoderStack::forward_some(MatrixView<float> x, std::size_t rows, Scratch& scratch) const {
  std::vector<AttentionSpan> spans(x.rows / rows);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    spans[i].first_row = i * rows;
    spans[i].count = rows;
    spans[i].prefix_end = rows;
  }
  AttentionInput input;
  input.spans = spans;
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    blocks_[layer].forward(x, input, scratch);
    if (scratch.on_layer) scratch.on_layer(layer, x);
  }
}

std::size_t EncoderStack::bytes() const {
  std::size_t total = 0;
  for (const TransformerBlock& block : blocks_) total += block.bytes();
  return total;
}

}  // namespace mmbatch
