#include "engine/nn/feed_forward.h"

#include <vector>

namespace mmbatch {

FeedForward::FeedForward(const Weights& weights, const FeedForwardConfig& config,
                         const FeedForwardNames& names)
    : config_(config) {
  std::vector<StoredLinear> in;
  if (config.kind == FeedForwardKind::gated) in.push_back({names.gate, config.ffn});
  in.push_back({names.up, config.ffn});
  in_ = Linear(weights, in, config.hidden, config.bias);
  down_ = Linear(weights, {names.down, config.hidden}, config.ffn, config.bias);
}

void FeedForward::forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                          Scratch& scratch) const {
  const MatrixView<float> wide = scratch.take(Scratch::widened, y.rows, config_.ffn);
  if (config_.kind == FeedForwardKind::plain)
    in_.forward(x, wide, {.activation = config_.activation});
  else
    in_.forward_gated(x, wide, config_.activation);
  down_.forward(wide, y, then);
}

}  // namespace mmbatch
