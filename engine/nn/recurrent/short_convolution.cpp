#include "engine/nn/recurrent/short_convolution.h"

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

ShortConvolution::ShortConvolution(const Weights& weights, const ShortConvolutionConfig& config,
                                   const ShortConvolutionNames& names)
    : config_(config),
      input_(weights, {names.input, 3 * config.hidden}, config.hidden, config.bias),
      output_(weights, {names.output, config.hidden}, config.hidden, config.bias),
      convolution_(weights, names.convolution, config.hidden, config.taps, TimeConvolution::Activated::no) {
  if (config.bias == Bias::present)
    convolution_bias_ = to_floats(weights.tensor(names.convolution + ".bias", {config.hidden}));
}

void ShortConvolution::forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
                               const Linear::Then& then, Scratch& scratch) const {
  const std::size_t hidden = config_.hidden;
  const MatrixView<float> parts = scratch.take(Scratch::qkv, y.rows, 3 * hidden);
  const MatrixView<float> mixed = scratch.take(Scratch::attended, y.rows, hidden);
  input_.forward(x, parts);
  const auto multiply = [hidden](const float* a, float* b) {
    for (std::size_t i = 0; i < hidden; ++i) b[i] *= a[i];
  };
  parallel_rows(y.rows, [&](std::size_t r) { multiply(parts.row(r), parts.row(r) + 2 * hidden); });
  convolution_.forward(parts.col_range(2 * hidden, hidden), mixed, spans);
  parallel_rows(y.rows, [&](std::size_t r) {
    if (!convolution_bias_.empty()) simd().add(mixed.row(r), convolution_bias_.data(), hidden);
    multiply(parts.row(r) + hidden, mixed.row(r));
  });
  output_.forward(mixed, y, then);
}

}  // namespace mmbatch
