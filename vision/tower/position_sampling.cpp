#include "vision/tower/position_sampling.h"

#include <algorithm>
#include <cmath>

namespace mmbatch {
namespace {

/// What lies at `at` between two positions.
PositionTaps between(double at, std::size_t side) {
  const auto first = std::min(static_cast<std::size_t>(at), side - 1);
  const auto share = static_cast<float>(at - static_cast<double>(first));
  if (first + 1 == side) return {first, {1.0f}};
  return {first, {1.0f - share, share}};
}

PositionTaps covered(std::size_t index, double scale, std::size_t side) {
  const double reach = std::max(scale, 1.0), centre = (static_cast<double>(index) + 0.5) * scale;
  const auto first = static_cast<std::size_t>(std::max(centre - reach + 0.5, 0.0));
  const auto end = std::min(static_cast<std::size_t>(centre + reach + 0.5), side);
  PositionTaps taps{first, {}};
  double sum = 0;
  std::vector<double> weights;
  for (std::size_t i = first; i < end; ++i) {
    const double distance = std::abs(static_cast<double>(i) + 0.5 - centre) / reach;
    weights.push_back(std::max(0.0, 1.0 - distance));
    sum += weights.back();
  }
  for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  return taps;
}

}  // namespace

std::vector<PositionTaps> position_taps(PositionSampling sampling, std::size_t count, std::size_t side) {
  const auto patches = static_cast<double>(count), stored = static_cast<double>(side);
  std::vector<PositionTaps> taps;
  taps.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto index = static_cast<double>(i);
    if (sampling == PositionSampling::corners)
      taps.push_back(between(index * (stored - 1) / std::max(patches - 1, 1.0), side));
    else if (sampling == PositionSampling::centres)
      taps.push_back(between(std::max((index + 0.5) * stored / patches - 0.5, 0.0), side));
    else
      taps.push_back(covered(i, stored / patches, side));
  }
  return taps;
}

}  // namespace mmbatch
