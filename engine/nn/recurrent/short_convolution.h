#pragma once

#include <string>

#include "engine/nn/linear.h"
#include "engine/nn/recurrent/time_convolution.h"
#include "engine/nn/scratch.h"

namespace mmbatch {

/// A gated short convolution as a layer's mixer (LFM2): B, C and u are thirds of one projection;
/// output(C · convolution(B · u)).
struct ShortConvolutionConfig {
  std::size_t hidden = 0;
  std::size_t taps = 3;
  Bias bias = Bias::absent;  // of both projections and of the convolution
  std::size_t channels = 0;  // those that are computed; 0: hidden, all of them

  std::size_t width() const { return channels == 0 ? hidden : channels; }
};

/// Names of the stored parts, without ".weight".
struct ShortConvolutionNames {
  std::string input, convolution, output;
};

class ShortConvolution {
 public:
  ShortConvolution(const Weights& weights, const ShortConvolutionConfig& config,
                   const ShortConvolutionNames& names);

  static std::size_t state_floats(const ShortConvolutionConfig& config) {
    return (config.taps - 1) * config.width();
  }
  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
               const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const { return input_.bytes() + convolution_.bytes() + output_.bytes(); }

 private:
  ShortConvolutionConfig config_;
  Linear input_, output_;
  TimeConvolution convolution_;
  std::vector<float> convolution_bias_;  // [width], or empty
};

}  // namespace mmbatch
