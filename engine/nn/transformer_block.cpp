#include "engine/nn/transformer_block.h"

#include "engine/nn/calibration.h"

namespace mmbatch {

TransformerBlock::TransformerBlock(const Weights& weights, const BlockConfig& config, const BlockNames& names)
    : placement_(config.placement),
      before_attention_(weights, names.before_attention, config.attention.hidden, config.norm),
      before_feed_forward_(weights, names.before_feed_forward, config.attention.hidden, config.norm),
      attention_(weights, config.attention, names.attention),
      feed_forward_(weights, config.feed_forward, names.feed_forward) {
  if (weights.hooks.calibration != nullptr) show_norms(weights, config, names);
  if (placement_ == NormPlacement::before) return;
  after_attention_ = Norm(weights, names.after_attention, config.attention.hidden, config.norm);
  after_feed_forward_ = Norm(weights, names.after_feed_forward, config.attention.hidden, config.norm);
}

void TransformerBlock::show_norms(const Weights& weights, const BlockConfig& config,
                                  const BlockNames& names) {
  const auto watch = [&](Norm& norm, const std::string& name, std::initializer_list<std::string> layers) {
    std::vector<TensorView> readers;
    for (const std::string& layer : layers) {
      if (!layer.empty()) readers.push_back(weights.source.tensor(layer + ".weight"));
    }
    norm.show_to(weights.hooks.calibration->add(name, config.norm, std::move(readers)));
  };
  const bool gated = config.feed_forward.kind == FeedForwardKind::gated;
  watch(before_attention_, names.before_attention,
        {names.attention.query, names.attention.key, names.attention.value});
  watch(before_feed_forward_, names.before_feed_forward,
        {gated ? names.feed_forward.gate : "", names.feed_forward.up});
}

void TransformerBlock::forward(MatrixView<float> x, const AttentionInput& input, Scratch& scratch) const {
  const LayerInput to_attention{x, &before_attention_}, to_feed_forward{x, &before_feed_forward_};
  if (placement_ == NormPlacement::before) {
    attention_.forward(to_attention, x, input, {{}, true}, scratch);
    return feed_forward_.forward(to_feed_forward, x, {{}, true}, scratch);
  }
  const MatrixView<float> projected = scratch.take(Scratch::projected, x.rows, x.cols);
  attention_.forward(to_attention, projected, input, {}, scratch);
  after_attention_.add_to(x, projected);
  feed_forward_.forward(to_feed_forward, projected, {}, scratch);
  after_feed_forward_.add_to(x, projected);
}

}  // namespace mmbatch
