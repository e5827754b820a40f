#include "engine/nn/feed_forward.h"

#include <vector>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

FeedForward::FeedForward(const Weights& weights, const FeedForwardConfig& config,
                         const FeedForwardNames& names)
    : config_(config), stored_as_one_(!names.gate_up.empty()) {
  std::vector<StoredLinear> in;
  if (stored_as_one_) {
    in.push_back({names.gate_up, 2 * config.ffn, config.order});
  } else {
    if (config.kind == FeedForwardKind::gated)
      in.push_back({names.gate, config.ffn, config.order, config.bounds});
    in.push_back({names.up, config.ffn, config.order, config.bounds});
  }
  in_ = Linear(weights, in, config.hidden, config.bias);
  down_ = Linear(weights, {names.down, config.hidden, config.order, config.bounds}, config.ffn, config.bias);
}

void FeedForward::forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                          Scratch& scratch) const {
  if (stored_as_one_) return forward_stored_as_one(x, y, then, scratch);
  const MatrixView<float> wide = scratch.take(Scratch::widened, y.rows, config_.ffn);
  if (config_.kind == FeedForwardKind::plain)
    in_.forward(x, wide, {.activation = config_.activation});
  else
    in_.forward_gated(x, wide, config_.activation);
  down_.forward(wide, y, then);
}

void FeedForward::forward_stored_as_one(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                                        Scratch& scratch) const {
  const MatrixView<float> both = scratch.take(Scratch::widened, y.rows, 2 * config_.ffn);
  in_.forward(x, both);
  parallel_rows(y.rows, [&](std::size_t r) {
    float* gate = both.row(r);
    simd().activate_gated(config_.activation, gate, gate + config_.ffn, config_.ffn, gate);
  });
  down_.forward(both.col_range(0, config_.ffn), y, then);
}

}  // namespace mmbatch
