#include "fusion/images/pixel_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/base/error.h"
#include "vision/preprocess/budget/block_preprocessor.h"

namespace mmbatch {

PixelBudget asked_budget(const PixelBudget& file, const PixelCount& count, const ImageBudget& budget) {
  PixelBudget pixels = file;
  const std::int64_t largest = BlockPreprocessor::kMostPixels;
  const auto set = [&](std::int64_t& value, std::optional<std::int64_t> in_pixels,
                       std::optional<std::int64_t> in_tokens) {
    if (in_pixels) value = std::min(*in_pixels, largest + 1) * count.frames;
    if (in_tokens) value = std::min(*in_tokens, largest + 1) * count.token * count.frames;
  };
  set(pixels.least, budget.min_pixels, budget.min_tokens);
  set(pixels.most, budget.max_pixels, budget.max_tokens);
  // Who sets one end only moves the other out of the way.
  if (pixels.least > pixels.most && !budget.min_pixels && !budget.min_tokens) pixels.least = pixels.most;
  if (pixels.least > pixels.most && !budget.max_pixels && !budget.max_tokens) pixels.most = pixels.least;
  if (pixels.least >= 1 && pixels.most >= count.token * count.frames &&
      pixels.most <= largest * count.frames && pixels.least <= pixels.most)
    return pixels;
  throw ItemError(
      ErrorCode::invalid_value,
      fmt::format("an image of at least {} and at most {} pixels is not possible; this model takes from {} "
                  "pixels, which are one token, to {}, and the least may not be above the most",
                  pixels.least / count.frames, pixels.most / count.frames, count.token, largest));
}

}  // namespace mmbatch
