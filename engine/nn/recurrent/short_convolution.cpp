#include "engine/nn/recurrent/short_convolution.h"

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

ShortConvolution::ShortConvolution(const Weights& weights, const ShortConvolutionConfig& config,
                                   const ShortConvolutionNames& names)
    : config_(config),
      input_(weights, {names.input, 3 * config.width()}, config.hidden, config.bias),
      output_(weights, {names.output, config.hidden}, config.width(), config.bias),
      convolution_(weights, names.convolution, config.width(), config.taps, TimeConvolution::Activated::no) {
  if (config.bias == Bias::present)
    convolution_bias_ = to_floats(weights.tensor(names.convolution + ".bias", {config.width()}));
}

void ShortConvolution::forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
                               const Linear::Then& then, Scratch& scratch) const {
  const std::size_t width = config_.width();
  const MatrixView<float> parts = scratch.take(Scratch::qkv, y.rows, 3 * width);
  const MatrixView<float> mixed = scratch.take(Scratch::attended, y.rows, width);
  input_.forward(x, parts);
  const auto multiply = [width](const float* a, float* b) {
    for (std::size_t i = 0; i < width; ++i) b[i] *= a[i];
  };
  parallel_rows(y.rows, [&](std::size_t r) { multiply(parts.row(r), parts.row(r) + 2 * width); });
  convolution_.forward(parts.col_range(2 * width, width), mixed, spans);
  parallel_rows(y.rows, [&](std::size_t r) {
    if (!convolution_bias_.empty()) simd().add(mixed.row(r), convolution_bias_.data(), width);
    multiply(parts.row(r) + width, mixed.row(r));
  });
  output_.forward(mixed, y, then);
}

}  // namespace mmbatch
