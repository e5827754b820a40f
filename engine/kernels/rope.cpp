#include "engine/kernels/rope.h"

#include <algorithm>
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

/// YaRN's blend: dimensions that turn often within the original positions keep their frequency, those that
/// turn less than once are stretched, with a ramp between.
class YarnRamp {
 public:
  YarnRamp(const RopeConfig& config, double dims) {
    const auto dimension_of = [&](double turns) {
      const auto original = static_cast<double>(config.original_positions);
      return dims * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(config.theta));
    };
    low_ = dimension_of(config.beta_fast);
    high_ = dimension_of(config.beta_slow);
    if (config.whole_dims) {
      low_ = std::floor(low_);
      high_ = std::ceil(high_);
    }
    low_ = std::max(low_, 0.0);
    high_ = std::min(high_, dims - 1);
    if (low_ == high_) high_ += 0.001;
  }
  /// 0: as it was; 1: stretched
  double at(std::size_t pair) const {
    return std::clamp((static_cast<double>(pair) - low_) / (high_ - low_), 0.0, 1.0);
  }

 private:
  double low_, high_;
};

}  // namespace

std::vector<float> rope_frequencies(const RopeConfig& config, std::size_t head_dim,
                                    std::size_t total_tokens) {
  const std::size_t dims = config.dims > 0 ? config.dims : head_dim;
  double theta = config.theta;
  const auto dim = static_cast<double>(dims);
  const bool longer = total_tokens > config.original_positions;
  if (config.scaling == RopeScaling::dynamic_ntk && longer) {
    const double ratio = static_cast<double>(total_tokens) / static_cast<double>(config.original_positions);
    theta *= std::pow(config.factor * ratio - (config.factor - 1), dim / (dim - 2));
  }
  const YarnRamp ramp(config, dim);
  std::vector<float> frequencies(dims / 2);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / dim);
    if (config.scaling == RopeScaling::linear) frequency /= config.factor;
    if (config.scaling == RopeScaling::llama3) frequency = llama3_frequency(config, frequency);
    if (config.scaling == RopeScaling::proportional)
      frequency = i < config.turning_pairs ? frequency / config.factor : 0.0;
    if (config.scaling == RopeScaling::yarn) frequency *= 1 - ramp.at(i) + ramp.at(i) / config.factor;
    if (config.scaling == RopeScaling::longrope)
      frequency /= (longer ? config.long_factors : config.short_factors)[i];
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

std::size_t RopePosition::*RopeAxes::axis(std::size_t frequency) const {
  if (order == RopeSections::split) {
    if (frequency < sections[0]) return &RopePosition::time;
    return frequency < sections[0] + sections[1] ? &RopePosition::row : &RopePosition::column;
  }
  const std::size_t turn = frequency % 3;
  if (turn == 1 && frequency < 3 * sections[1]) return &RopePosition::row;
  if (turn == 2 && frequency < 3 * sections[2]) return &RopePosition::column;
  return &RopePosition::time;
}

RopeAngles rope_angles(std::span<const float> frequencies, std::span<const RopePosition> positions,
                       const RopeConfig& config) {
  constexpr std::size_t kRows = 16;
  const auto scale = static_cast<float>(config.magnitude);
  RopeAngles angles{Matrix<float>(positions.size(), frequencies.size()),
                    Matrix<float>(positions.size(), frequencies.size())};
  parallel_tiles((positions.size() + kRows - 1) / kRows, [&](std::size_t tile) {
    for (std::size_t r = tile * kRows; r < positions.size() && r < (tile + 1) * kRows; ++r) {
      for (std::size_t i = 0; i < frequencies.size(); ++i) {
        const auto axis = config.axes ? config.axes->axis(i) : &RopePosition::time;
        const float angle = static_cast<float>(positions[r].*axis) * frequencies[i];
        angles.cosine.row(r)[i] = std::cos(angle) * scale;
        angles.sine.row(r)[i] = std::sin(angle) * scale;
      }
    }
  });
  return angles;
}

std::vector<float> query_scales(const RopeConfig& config, std::span<const RopePosition> positions) {
  std::vector<float> scales;
  for (const RopePosition& position : positions) {
    const auto turns = static_cast<double>(position.time / config.original_positions);
    scales.push_back(static_cast<float>(1.0 + config.query_scale_beta * std::log1p(turns)));
  }
  return scales;
}

}  // namespace mmbatch
