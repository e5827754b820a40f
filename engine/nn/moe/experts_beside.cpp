#include "engine/nn/moe/experts_beside.h"

#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/calibration.h"

namespace mmbatch {

ExpertsBeside::ExpertsBeside(const Weights& weights, const Config& config, const Names& names)
    : dense_(load_feed_forward(weights, config.dense, names.dense)),
      experts_(load_mixture(weights, config.experts, names.experts)),
      after_dense_(weights, names.norms.after_dense, config.dense.hidden, config.norm),
      before_experts_(weights, names.norms.before_experts, config.dense.hidden, config.norm),
      after_experts_(weights, names.norms.after_experts, config.dense.hidden, config.norm) {
  if (weights.hooks.calibration == nullptr) return;
  before_experts_.show_to(
      weights.hooks.calibration->add(names.norms.before_experts, config.norm,
                                     MixtureOfExperts::readers(weights, config.experts, names.experts)));
}

std::size_t ExpertsBeside::bytes() const {
  const auto bytes = [](const auto& part) { return part.bytes(); };
  return std::visit(bytes, dense_) + std::visit(bytes, experts_);
}

void ExpertsBeside::forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then,
                            Scratch& scratch) const {
  const MatrixView<float> dense = scratch.take(Scratch::dense, y.rows, y.cols);
  std::visit([&](const auto& part) { part.forward(x, dense, {}, scratch); }, dense_);
  const MatrixView<float> experts = scratch.take(Scratch::experts, y.rows, y.cols);
  std::visit(
      [&](const auto& part) {
        part.forward({x.x, &before_experts_}, experts, {}, scratch);
      },
      experts_);
  parallel_rows(y.rows, [&](std::size_t r) {
    float* sum = dense.row(r);
    after_dense_.row(sum, sum);
    after_experts_.row(experts.row(r), experts.row(r));
    simd().add(sum, experts.row(r), y.cols);
    if (then.accumulate)
      simd().add(y.row(r), sum, y.cols);
    else
      std::memcpy(y.row(r), sum, y.cols * sizeof(float));
  });
}

}  // namespace mmbatch
