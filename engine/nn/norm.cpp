#include "engine/nn/norm.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/calibration.h"

namespace mmbatch {

Norm::Norm(const Weights& weights, const std::string& name, std::size_t hidden, const NormConfig& config)
    : config_(config) {
  if (config.eps < 0.0f)
    throw ModelError(
        fmt::format("{}: the epsilon of a norm is {}; it has to be at least 0", name, config.eps));
  if (config.weight == NormWeight::none) {
    weight_.assign(hidden, 1.0f - config.offset);
    return;
  }
  weight_ = to_floats(weights.tensor(name + ".weight", {hidden}));
  if (config.kind == NormKind::layer) bias_ = to_floats(weights.tensor(name + ".bias", {hidden}));
}

void Norm::row(const float* x, float* out) const {
  if (config_.kind == NormKind::rms) {
    simd().rms_norm(x, weight_.data(), weight_.size(), config_.eps, config_.offset, out);
  } else {
    simd().layer_norm(x, weight_.data(), bias_.data(), weight_.size(), config_.eps, out);
  }
}

void Norm::forward(MatrixView<const float> x, MatrixView<float> out) const {
  parallel_rows(x.rows, [&](std::size_t r) { row(x.row(r), out.row(r)); });
  if (channels_ != nullptr) channels_->see(out);
}

}  // namespace mmbatch
