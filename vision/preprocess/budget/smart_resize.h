#pragma once

#include <cstdint>

#include "vision/preprocess/resize.h"

namespace mmbatch {

/// How many pixels a picture may have once it is resized.
struct PixelBudget {
  std::int64_t least = 56 * 56;
  std::int64_t most = 1280 * 28 * 28;
  bool operator==(const PixelBudget&) const = default;
};

/// The size to which a picture is resized so that both sides are multiples of `unit`, its pixels lie within
/// the budget and its aspect is kept as nearly as that allows: smart_resize() of the Hugging Face image
/// processor for towers that take pictures of any size (transformers 5.23), in doubles, with halves rounded
/// to even.
/// @throws ItemError image_too_large for a picture that is over 200 times as long as it is wide, or the other
/// way round
ResizedSize smart_resize(int width, int height, int unit, const PixelBudget& budget);

}  // namespace mmbatch
