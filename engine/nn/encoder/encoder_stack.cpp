#include "engine/nn/encoder/encoder_stack.h"

#include <algorithm>
#include <cstring>

#include "engine/nn/encoder/stack_layers.h"

namespace mmbatch {
namespace {

RopeAngles rows_of(const RopeAngles& all, std::size_t first, std::size_t count) {
  RopeAngles part{Matrix<float>(count, all.cosine.cols()), Matrix<float>(count, all.cosine.cols())};
  const std::size_t bytes = count * all.cosine.cols() * sizeof(float);
  std::memcpy(part.cosine.data(), all.cosine.row(first), bytes);
  std::memcpy(part.sine.data(), all.sine.row(first), bytes);
  part.parts = all.parts;
  return part;
}

/// Weights whose slices divide the stack; without slices where they do not.
Weights divided(Weights weights, const EncoderStackConfig& config) {
  if (weights.slices && !slices_divide(config.layer, weights.slices->count())) weights.slices.reset();
  return weights;
}

}  // namespace

bool slices_divide(const LayerConfig& layer, std::size_t slices) {
  return whole_parts(layer, slices).size() < 2;  // attention and feed-forward
}

EncoderStack::EncoderStack(const Weights& weights, const EncoderStackConfig& config)
    : layers_(std::make_shared<const StackLayers>(divided(weights, config), config)) {}

std::shared_ptr<const SharedWork> EncoderStack::part(const Weights& weights,
                                                     const EncoderStackConfig& config) {
  if (!slices_divide(config.layer, weights.slices->count())) return nullptr;
  auto layers = std::make_shared<const StackLayers>(weights, config);
  weights.slices->share(layers->name(), layers);
  return layers;
}

void EncoderStack::forward(MatrixView<float> x, const EncoderInput& input, Scratch& scratch) const {
  // Enough rows for products at full speed; what the layers hand on need not be kept for more.
  constexpr std::size_t kRows = 1024;
  const auto& sequences = input.sequences;
  std::size_t begin = 0, window = 0;
  StackPart part;
  const auto run = [&](std::size_t end) {
    part.sequences = sequences.subspan(begin, end - begin);
    if (layers_->has_cross()) part.cross = input.cross.subspan(begin, end - begin);
    if (layers_->attends() == EncoderAttention::prefix)
      part.prefixes = input.prefixes.subspan(begin, end - begin);
    const std::size_t first_window = window;
    for (std::size_t rows = 0; window < input.windows.size() && rows < part.count; ++window)
      rows += input.windows[window];
    part.windows = input.windows.subspan(first_window, window - first_window);
    RopeAngles rope;
    if (input.rope != nullptr) rope = rows_of(*input.rope, part.first, part.count);
    layers_->forward(x.row_range(part.first, part.count), part, input.rope != nullptr ? &rope : nullptr,
                     input.taps, scratch);
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

std::size_t EncoderStack::bytes() const {
  return layers_->bytes();
}

}  // namespace mmbatch
