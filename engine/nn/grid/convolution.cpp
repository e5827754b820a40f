#include "engine/nn/grid/convolution.h"

#include <algorithm>
#include <cstring>

#include "engine/kernels/rows.h"
#include "engine/weights/tensor.h"

namespace mmbatch {
namespace {

/// A kernel stored [out, in, side, side] as it is multiplied: [out, side · side · in].
PackedMatrix load_kernel(const Weights& weights, const std::string& name, const ConvolutionConfig& config) {
  const std::size_t side = config.kernel, in = config.in, area = side * side;
  const std::vector<std::size_t> flat = {config.out, area * in};
  const Weights edge = weights.in(edge_precision(weights.precision));
  if (weights.source.tensor(name).packed) return PackedMatrix({edge.pack(weights.tensor(name, flat))});
  const TensorView kernel = weights.tensor(name, {config.out, in, side, side});
  const std::vector<float> stored = to_floats(kernel);
  std::vector<float> turned(stored.size());
  for (std::size_t o = 0; o < config.out; ++o) {
    for (std::size_t c = 0; c < in; ++c) {
      for (std::size_t at = 0; at < area; ++at)
        turned[(o * area + at) * in + c] = stored[(o * in + c) * area + at];
    }
  }
  return PackedMatrix({edge.pack(with_values(kernel, flat, turned))});
}

}  // namespace

GridSize ConvolutionConfig::output(const GridSize& input) const {
  const auto along = [&](std::size_t side) {
    const std::size_t padded = side + 2 * padding;
    return padded < kernel ? 0 : (padded - kernel) / stride + 1;
  };
  return {along(input.rows), along(input.columns)};
}

Convolution::Convolution(const Weights& weights, const std::string& name, const ConvolutionConfig& config)
    : config_(config),
      product_(load_kernel(weights, name + ".weight", config),
               to_floats(weights.tensor(name + ".bias", {config.out}))) {}

void Convolution::gather(MatrixView<const float> x, const GridSize& input, std::size_t place,
                         float* out) const {
  const GridSize size = config_.output(input);
  const std::size_t in = config_.in, padding = config_.padding;
  const std::size_t top = place / size.columns * config_.stride, left = place % size.columns * config_.stride;
  for (std::size_t dy = 0; dy < config_.kernel; ++dy) {
    for (std::size_t dx = 0; dx < config_.kernel; ++dx, out += in) {
      const std::size_t y = top + dy, xx = left + dx;  // counted from the padding
      const bool inside =
          y >= padding && y < input.rows + padding && xx >= padding && xx < input.columns + padding;
      if (inside)
        std::memcpy(out, x.row((y - padding) * input.columns + xx - padding), in * sizeof(float));
      else
        std::fill_n(out, in, 0.0f);
    }
  }
}

Matrix<float> Convolution::forward(MatrixView<const float> x, const GridSize& input) const {
  constexpr std::size_t kRows = 1024;  // neighbours are put side by side for so many places at a time
  const std::size_t places = config_.output(input).places();
  Matrix<float> y(places, config_.out);
  Matrix<float> seen(std::min(kRows, places), config_.kernel * config_.kernel * config_.in);
  for (std::size_t first = 0; first < places; first += kRows) {
    const std::size_t count = std::min(kRows, places - first);
    parallel_rows(count, [&](std::size_t r) { gather(x, input, first + r, seen.row(r)); });
    product_.forward(seen.view().row_range(0, count), y.view().row_range(first, count));
  }
  return y;
}

DepthwiseConvolution::DepthwiseConvolution(const Weights& weights, const std::string& name,
                                           std::size_t channels)
    : weight_(kSide * kSide * channels), bias_(to_floats(weights.tensor(name + ".bias", {channels}))) {
  const std::vector<float> stored = to_floats(weights.tensor(name + ".weight", {channels, 1, kSide, kSide}));
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t at = 0; at < kSide * kSide; ++at)
      weight_[at * channels + c] = stored[c * kSide * kSide + at];
  }
}

Matrix<float> DepthwiseConvolution::forward(MatrixView<const float> x, const GridSize& size) const {
  const std::size_t channels = bias_.size();
  Matrix<float> y(x.rows, channels);
  parallel_rows(x.rows, [&](std::size_t place) {
    const std::size_t row = place / size.columns, column = place % size.columns;
    float* out = y.row(place);
    std::memcpy(out, bias_.data(), channels * sizeof(float));
    for (std::size_t at = 0; at < kSide * kSide; ++at) {
      const std::size_t below = row + at / kSide, right = column + at % kSide;  // each one too many
      if (below < 1 || below > size.rows || right < 1 || right > size.columns) continue;
      const float* seen = x.row((below - 1) * size.columns + right - 1);
      const float* weight = &weight_[at * channels];
      for (std::size_t c = 0; c < channels; ++c) out[c] += weight[c] * seen[c];
    }
    const float* own = x.row(place);
    for (std::size_t c = 0; c < channels; ++c) out[c] += own[c];
  });
  return y;
}

}  // namespace mmbatch
