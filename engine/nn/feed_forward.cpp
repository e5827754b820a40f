#include "engine/nn/feed_forward.h"

#include <vector>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

FeedForward::FeedForward(const Checkpoint& weights, const FeedForwardConfig& config,
                         const FeedForwardNames& names)
    : config_(config) {
  std::vector<StoredLinear> in;
  if (config.kind == FeedForwardKind::gated) in.push_back({names.gate, config.ffn});
  in.push_back({names.up, config.ffn});
  in_ = Linear(weights, in, config.hidden, config.bias);
  down_ = Linear(weights, {names.down, config.hidden}, config.ffn, config.bias);
}

void FeedForward::forward(MatrixView<const float> x, MatrixView<float> y, const Linear::Then& then,
                          Scratch& scratch) const {
  const MatrixView<float> wide = scratch.take(Scratch::widened, x.rows, in_.out());
  if (config_.kind == FeedForwardKind::plain) {
    in_.forward(x, wide, {config_.activation, false});
    return down_.forward(wide, y, then);
  }
  const MatrixView<float> gated = scratch.take(Scratch::gated, x.rows, config_.ffn);
  in_.forward(x, wide);
  parallel_rows(x.rows, [&](std::size_t r) {
    simd().activate_gated(config_.activation, wide.row(r), wide.row(r) + config_.ffn, config_.ffn,
                          gated.row(r));
  });
  down_.forward(gated, y, then);
}

}  // namespace mmbatch
