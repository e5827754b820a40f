#include "vision/preprocess/budget/soft_token_preprocessor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "vision/preprocess/budget/tower_numbers.h"

namespace mmbatch {
namespace {

/// The scaling, of a file that does not normalise unless it says so.
PixelScaling scaling_of(const Config& config) {
  if (config.has("do_normalize")) return PixelScaling(config);
  const std::string rescales = config.flag("do_rescale", true) ? "true" : "false";
  return PixelScaling(
      Config::parse(fmt::format(R"({{"do_normalize": false, "do_rescale": {}, "rescale_factor": {}}})",
                                rescales, config.number("rescale_factor", 1.0 / 255.0)),
                    config.source()));
}

}  // namespace

std::string soft_token_budgets_text() {
  std::string text;
  for (std::size_t i = 0; i < SoftTokenPreprocessor::kBudgets.size(); ++i) {
    const bool last = i + 1 == SoftTokenPreprocessor::kBudgets.size();
    text += fmt::format("{}{}", i == 0 ? "" : last ? " or " : ", ", SoftTokenPreprocessor::kBudgets[i]);
  }
  return text;
}

SoftTokenPreprocessor::SoftTokenPreprocessor(const Config& config, const SoftTokenGeometry& model)
    : geometry_(model), scaling_(scaling_of(config)) {
  check_same_as_tower(config, "patch_size", model.patch_size, 16);
  check_same_as_tower(config, "pooling_kernel_size", model.pool, 3);
  if (!config.flag("do_resize", true))
    config.fail("do_resize", "false is not supported: pictures must be whole blocks of patches");
  resample_ = resample_from(config.integer("resample", 3, {0, 5})).value_or(Resample::bicubic);
  budget_ = config.integer("max_soft_tokens", 280);
  if (std::find(kBudgets.begin(), kBudgets.end(), budget_) == kBudgets.end()) {
    config.fail("max_soft_tokens",
                fmt::format("{} is not supported; supported are {}", budget_, soft_token_budgets_text()));
  }
}

ResizedSize SoftTokenPreprocessor::size_of(int width, int height, std::int64_t budget) const {
  const std::int64_t side = geometry_.row_side(), pixels = budget * side * side;
  const double w = width, h = height;
  const double factor = std::sqrt(static_cast<double>(pixels) / (h * w));
  const auto whole = [&](double ideal) {
    return static_cast<std::int64_t>(std::floor(ideal / static_cast<double>(side))) * side;
  };
  ResizedSize size{whole(factor * w), whole(factor * h)};
  // A side that would vanish is one row; the other follows the aspect, as far as the budget goes.
  const auto other = [&](double aspect) {
    return std::min(static_cast<std::int64_t>(std::floor(aspect)), budget) * side;
  };
  if (size.height == 0 && size.width > 0) size = {other(w / h), side};
  if (size.width == 0 && size.height > 0) size = {side, other(h / w)};
  if (size.width > 0 && size.height > 0 && size.width * size.height <= pixels) return size;
  throw ItemError(ErrorCode::image_too_large,
                  fmt::format("{} x {} pixels: a picture of this shape cannot be brought to {} tokens", width,
                              height, budget));
}

PatchGrid SoftTokenPreprocessor::grid(int width, int height, std::int64_t budget) const {
  const ResizedSize size = size_of(width, height, budget);
  const std::int64_t side = geometry_.cut_side();
  return {static_cast<std::size_t>(size.height / side), static_cast<std::size_t>(size.width / side)};
}

Patches SoftTokenPreprocessor::apply(const Image& image, std::int64_t budget) const {
  const Image resized = resize(image, size_of(image.width, image.height, budget), resample_);
  const auto side = static_cast<std::size_t>(geometry_.cut_side());
  Patches patches;
  patches.grid = grid(image.width, image.height, budget);
  patches.values = Matrix<float>(patches.grid.count(), 3 * side * side);
  parallel_tiles(patches.grid.count(), [&](std::size_t p) {
    const std::size_t top = p / patches.grid.columns * side, left = p % patches.grid.columns * side;
    float* to = patches.values.row(p);
    for (std::size_t y = 0; y < side; ++y) {
      const std::uint8_t* from = resized.row(static_cast<int>(top + y)) + 3 * left;
      for (std::size_t i = 0; i < 3 * side; ++i) *to++ = scaling_.value(i % 3, from[i]);
    }
  });
  return patches;
}

}  // namespace mmbatch
