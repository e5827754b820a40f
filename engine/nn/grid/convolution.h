#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/nn/linear.h"

namespace mmbatch {

/// How many rows and columns a grid of places has, which lie row by row.
struct GridSize {
  std::size_t rows = 0;
  std::size_t columns = 0;

  std::size_t places() const { return rows * columns; }
  bool operator==(const GridSize&) const = default;
};

struct ConvolutionConfig {
  std::size_t in = 0, out = 0;  // channels
  std::size_t kernel = 1;       // side of the square that is seen
  std::size_t stride = 1;
  std::size_t padding = 0;  // places of zeros on each side

  /// What becomes of a grid; 0 x 0 of one that the kernel does not fit into.
  GridSize output(const GridSize& input) const;
};

/// A convolution over a grid: each place's neighbours side by side, times a matrix.
class Convolution {
 public:
  Convolution() = default;
  /// Reads `name`.weight [out, in, kernel, kernel] and `name`.bias [out].  @throws ModelError
  Convolution(const Weights& weights, const std::string& name, const ConvolutionConfig& config);

  /// @param x [input.places(), in]   @return [output(input).places(), out]
  Matrix<float> forward(MatrixView<const float> x, const GridSize& input) const;
  const ConvolutionConfig& config() const { return config_; }
  std::size_t bytes() const { return product_.bytes(); }

 private:
  /// What one place of the result sees, [kernel, kernel, in].
  void gather(MatrixView<const float> x, const GridSize& input, std::size_t place, float* out) const;

  ConvolutionConfig config_;
  Linear product_;
};

/// x + a convolution of 3 · 3 places in which each channel sees itself alone.
class DepthwiseConvolution {
 public:
  DepthwiseConvolution() = default;
  /// Reads `name`.weight [channels, 1, 3, 3] and `name`.bias [channels].  @throws ModelError
  DepthwiseConvolution(const Weights& weights, const std::string& name, std::size_t channels);

  /// @param x [size.places(), channels]   @return the same
  Matrix<float> forward(MatrixView<const float> x, const GridSize& size) const;
  std::size_t bytes() const { return (weight_.size() + bias_.size()) * sizeof(float); }

 private:
  static constexpr std::size_t kSide = 3;
  std::vector<float> weight_;  // [9, channels]
  std::vector<float> bias_;
};

}  // namespace mmbatch
