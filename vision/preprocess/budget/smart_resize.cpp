#include "vision/preprocess/budget/smart_resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr double kMostAspect = 200.0;

/// To the nearest multiple; halves go to the even one, whatever the rounding mode of the thread.
double nearest_multiple(double side, double unit) {
  const double quotient = side / unit, below = std::floor(quotient), rest = quotient - below;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2.0) != 0.0);
  return (up ? below + 1 : below) * unit;
}

}  // namespace

ResizedSize smart_resize(int width, int height, int unit, const PixelBudget& budget) {
  const double w = width, h = height, f = unit;
  if (std::max(w, h) / std::min(w, h) > kMostAspect) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("{} x {} pixels: one side may be at most {} times as long as the other",
                                width, height, kMostAspect));
  }
  const auto most = static_cast<double>(budget.most), least = static_cast<double>(budget.least);
  double new_h = nearest_multiple(h, f), new_w = nearest_multiple(w, f);
  if (new_h * new_w > most) {
    const double beta = std::sqrt(h * w / most);
    new_h = std::max(f, std::floor(h / beta / f) * f);
    new_w = std::max(f, std::floor(w / beta / f) * f);
  } else if (new_h * new_w < least) {
    const double beta = std::sqrt(least / (h * w));
    new_h = std::ceil(h * beta / f) * f;
    new_w = std::ceil(w * beta / f) * f;
  }
  return {static_cast<std::int64_t>(new_w), static_cast<std::int64_t>(new_h)};
}

}  // namespace mmbatch
