#include "vision/preprocess/budget/smart_resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

struct Sides {
  double width, height;
};

/// A picture with sides below a unit, before anything else is done to it.
Sides without_short_sides(Sides sides, double unit, ShortSides rule) {
  if (rule == ShortSides::enlarged && std::min(sides.width, sides.height) < unit) {
    const double scale = std::max(unit / sides.height, unit / sides.width);
    return {std::floor(sides.width * scale), std::floor(sides.height * scale)};
  }
  if (rule != ShortSides::enlarged_nearest) return sides;
  if (sides.height < unit) sides = {nearest_multiple(sides.width * unit / sides.height, 1), unit};
  if (sides.width < unit) sides = {unit, nearest_multiple(sides.height * unit / sides.width, 1)};
  return sides;
}

}  // namespace

double nearest_multiple(double pixels, double unit) {
  const double quotient = pixels / unit, below = std::floor(quotient), rest = quotient - below;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2.0) != 0.0);
  return (up ? below + 1 : below) * unit;
}

ResizedSize smart_resize(int width, int height, const ResizeRule& rule, const PixelBudget& budget) {
  const double f = rule.unit, frames = rule.frames;
  const double shown = rule.shown_frames > 0 ? rule.shown_frames : rule.frames;
  const auto [w, h] =
      without_short_sides({static_cast<double>(width), static_cast<double>(height)}, f, rule.short_sides);
  if (std::max(w, h) / std::min(w, h) > kMostAspect) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("{} x {} pixels: one side may be at most {} times as long as the other",
                                width, height, kMostAspect));
  }
  const auto most = static_cast<double>(budget.most), least = static_cast<double>(budget.least);
  const double shortest = rule.short_sides == ShortSides::one_unit ? f : 0;
  double new_h = std::max(shortest, nearest_multiple(h, f));
  double new_w = std::max(shortest, nearest_multiple(w, f));
  if (frames * new_h * new_w > most) {
    const double beta = std::sqrt(shown * h * w / most);
    new_h = std::max(f, std::floor(h / beta / f) * f);
    new_w = std::max(f, std::floor(w / beta / f) * f);
  } else if (frames * new_h * new_w < least) {
    const double beta = std::sqrt(least / (shown * h * w));
    new_h = std::ceil(h * beta / f) * f;
    new_w = std::ceil(w * beta / f) * f;
  }
  return {static_cast<std::int64_t>(new_w), static_cast<std::int64_t>(new_h)};
}

}  // namespace mmbatch
