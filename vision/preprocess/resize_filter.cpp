#include "vision/preprocess/resize_filter.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mmbatch {
namespace {

constexpr double kPi = std::numbers::pi;

double box(double x) {
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double hamming(double x) {
  x = std::abs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= kPi;
  // Pillow's constants are floats, and the difference shows in one weight in thousands.
  return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
}

/// Keys' cubic convolution (1981).
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= kPi;
  return std::sin(x) / x;
}

double lanczos(double x) {
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

struct Kernel {
  double (*value)(double);
  double support;  // zero outside [-support, support]
};

Kernel kernel_of(Resample resample) {
  switch (resample) {
    case Resample::lanczos:
      return {lanczos, 3.0};
    case Resample::bilinear:
      return {triangle, 1.0};
    case Resample::bicubic:
      return {bicubic, 2.0};
    case Resample::hamming:
      return {hamming, 1.0};
    case Resample::box:
    case Resample::nearest:
      break;
  }
  return {box, 0.5};
}

/// One sample as it stands: what every kernel amounts to when nothing is resized.
ResizeFilter identity(const ResizeAxis& axis) {
  ResizeFilter filter;
  filter.weights = {1 << kWeightBits};
  for (int i = 0; i < axis.count; ++i) filter.outputs.push_back({static_cast<int>(axis.first) + i, 1, 0});
  return filter;
}

/// A weight with so many bits behind the point, in the place of kWeightBits of them.
std::int32_t fixed_point(double weight, int bits) {
  const double scaled = weight * (1 << bits);
  return static_cast<std::int32_t>(weight < 0 ? -0.5 + scaled : 0.5 + scaled) * (1 << (kWeightBits - bits));
}

/// The taps of one axis, in double.
class Taps {
 public:
  Taps(const ResizeAxis& axis, Resample resample)
      : source_(axis.source),
        kernel_(kernel_of(resample)),
        scale_(static_cast<double>(axis.source) / static_cast<double>(axis.resized)) {}

  /// Fills in the weights of an output sample.  @return its first source sample
  int weigh(std::int64_t output, std::vector<double>& weights) const {
    const double stretch = std::max(scale_, 1.0), support = kernel_.support * stretch;
    const double center = (static_cast<double>(output) + 0.5) * scale_;
    const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), source_);
    weights.clear();
    double sum = 0.0;
    for (int x = begin; x < end; ++x) {
      weights.push_back(kernel_.value((x - center + 0.5) * (1.0 / stretch)));
      sum += weights.back();
    }
    if (sum != 0.0) std::for_each(weights.begin(), weights.end(), [&](double& weight) { weight /= sum; });
    return begin;
  }

 private:
  int source_;
  Kernel kernel_;
  double scale_;
};

/// As many bits as leave the largest weight of an axis within 16 bits with its sign.
int bits_of_torchvision(const ResizeAxis& axis, const Taps& taps) {
  // Far more outputs than there are samples have the same few weights again and again.
  const std::int64_t looked_at = std::min(axis.resized, std::int64_t{1} << 16);
  double largest = 0;
  std::vector<double> weights;
  for (std::int64_t i = 0; i < looked_at; ++i) {
    taps.weigh(i, weights);
    largest = std::max(largest, *std::max_element(weights.begin(), weights.end()));
  }
  int bits = 0;
  while (bits < kWeightBits && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < 1 << 15) ++bits;
  return bits;
}

}  // namespace

ResizeFilter make_resize_filter(const ResizeAxis& axis, Resampling resampling) {
  if (axis.source == axis.resized) return identity(axis);
  const Taps taps(axis, resampling.filter);
  const int bits =
      resampling.backend == ResizeBackend::torchvision ? bits_of_torchvision(axis, taps) : kWeightBits;
  ResizeFilter filter;
  filter.outputs.reserve(static_cast<std::size_t>(axis.count));
  std::vector<double> weights;
  for (int i = 0; i < axis.count; ++i) {
    const int begin = taps.weigh(axis.first + i, weights);
    filter.outputs.push_back({begin, static_cast<int>(weights.size()), filter.weights.size()});
    for (const double weight : weights) filter.weights.push_back(fixed_point(weight, bits));
  }
  return filter;
}

std::vector<int> nearest_samples(const ResizeAxis& axis) {
  const double step = static_cast<double>(axis.source) / static_cast<double>(axis.resized);
  double position = step * 0.5;
  for (std::int64_t i = 0; i < axis.first; ++i) position += step;
  std::vector<int> samples;
  samples.reserve(static_cast<std::size_t>(axis.count));
  for (int i = 0; i < axis.count; ++i, position += step) {
    samples.push_back(std::min(static_cast<int>(position), axis.source - 1));
  }
  return samples;
}

}  // namespace mmbatch
