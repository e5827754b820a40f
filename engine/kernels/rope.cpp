#include "engine/kernels/rope.h"

#include <cmath>

#include "engine/base/threads.h"

namespace mmbatch {
namespace {

/// Llama 3's blend between unchanged high frequencies and stretched low ones.
double llama3_frequency(const RopeConfig& config, double frequency) {
  const double wavelength = 2 * M_PI / frequency;
  const auto original = static_cast<double>(config.original_positions);
  if (wavelength < original / config.high_freq_factor) return frequency;
  if (wavelength > original / config.low_freq_factor) return frequency / config.factor;
  const double s =
      (original / wavelength - config.low_freq_factor) / (config.high_freq_factor - config.low_freq_factor);
  return (1 - s) * frequency / config.factor + s * frequency;
}

}  // namespace

std::vector<float> rope_frequencies(const RopeConfig& config, std::size_t head_dim,
                                    std::size_t total_tokens) {
  double theta = config.theta;
  const auto dim = static_cast<double>(head_dim);
  if (config.scaling == RopeScaling::dynamic_ntk && total_tokens > config.original_positions) {
    const double ratio = static_cast<double>(total_tokens) / static_cast<double>(config.original_positions);
    theta *= std::pow(config.factor * ratio - (config.factor - 1), dim / (dim - 2));
  }
  std::vector<float> frequencies(head_dim / 2);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / dim);
    if (config.scaling == RopeScaling::linear) frequency /= config.factor;
    if (config.scaling == RopeScaling::llama3) frequency = llama3_frequency(config, frequency);
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

RopeAngles rope_angles(std::span<const float> frequencies, std::span<const std::size_t> positions) {
  constexpr std::size_t kRows = 16;
  RopeAngles angles{Matrix<float>(positions.size(), frequencies.size()),
                    Matrix<float>(positions.size(), frequencies.size())};
  parallel_tiles((positions.size() + kRows - 1) / kRows, [&](std::size_t tile) {
    for (std::size_t r = tile * kRows; r < positions.size() && r < (tile + 1) * kRows; ++r) {
      for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const float angle = static_cast<float>(positions[r]) * frequencies[i];
        angles.cosine.row(r)[i] = std::cos(angle);
        angles.sine.row(r)[i] = std::sin(angle);
      }
    }
  });
  return angles;
}

}  // namespace mmbatch
