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

double triangle(double x) {
  return std::max(0.0, 1.0 - x);
}

/// Keys' cubic convolution (1981).  @param x at least 0
double keys(double x) {
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

/// A filter, which is 0 beyond `support`.
struct Filter {
  double (*value)(double);
  double support;
};

PositionTaps covered(std::size_t index, double scale, std::size_t side, const Filter& filter) {
  const double stretch = std::max(scale, 1.0), reach = filter.support * stretch;
  const double centre = (static_cast<double>(index) + 0.5) * scale;
  const auto first = static_cast<std::size_t>(std::max(centre - reach + 0.5, 0.0));
  const auto end = std::min(static_cast<std::size_t>(centre + reach + 0.5), side);
  PositionTaps taps{first, {}};
  double sum = 0;
  std::vector<double> weights;
  for (std::size_t i = first; i < end; ++i) {
    weights.push_back(filter.value(std::abs(static_cast<double>(i) + 0.5 - centre) / stretch));
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
      taps.push_back(
          covered(i, stored / patches, side,
                  sampling == PositionSampling::cubic ? Filter{keys, 2.0} : Filter{triangle, 1.0}));
  }
  return taps;
}

}  // namespace mmbatch
