#include "engine/nn/recurrent/time_convolution.h"

#include <algorithm>
#include <cstring>

#include "engine/base/error.h"
#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

TimeConvolution::TimeConvolution(const Weights& weights, const std::string& name, std::size_t channels,
                                 std::size_t taps, Activated activated)
    : channels_(channels), taps_(taps), activated_(activated), weight_(taps * channels) {
  if (taps < 1 || taps > CausalConvolution::kMostTaps) {
    throw ModelError(name + ": a convolution over " + std::to_string(taps) +
                     " tokens is not supported (1 to " + std::to_string(CausalConvolution::kMostTaps) + ")");
  }
  const std::vector<float> stored = to_floats(weights.tensor(name + ".weight", {channels, 1, taps}));
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t tap = 0; tap < taps; ++tap) weight_[tap * channels + c] = stored[c * taps + tap];
  }
}

void TimeConvolution::forward(MatrixView<const float> x, MatrixView<float> y,
                              std::span<const RecurrentSpan> spans) const {
  const std::size_t earlier = taps_ - 1;
  for (const RecurrentSpan& span : spans) {
    // What stands `back` tokens before token `i` of the span; null before the sequence.
    const auto input = [&](std::size_t i, std::size_t back) -> const float* {
      if (back <= i) return x.row(span.first_row + i - back);
      return span.before == nullptr ? nullptr : span.before + (earlier - (back - i)) * channels_;
    };
    parallel_rows(span.count, [&](std::size_t i) {
      CausalConvolution token{.channels = channels_,
                              .taps = taps_,
                              .weight = weight_.data(),
                              .activated = activated_ == Activated::silu,
                              .out = y.row(span.first_row + i)};
      for (std::size_t tap = 0; tap < taps_; ++tap) token.input[tap] = input(i, earlier - tap);
      simd().causal_convolution(token);
    });
    // Ascending: where the state is changed in place, a row is read before it is written.
    for (std::size_t row = 0; row < earlier; ++row) {
      float* to = span.after + row * channels_;
      const float* from = input(span.count, earlier - row);
      if (from == nullptr)
        std::fill_n(to, channels_, 0.0f);
      else
        std::memmove(to, from, channels_ * sizeof(float));
    }
  }
}

}  // namespace mmbatch
