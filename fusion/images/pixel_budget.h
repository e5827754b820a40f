#pragma once

#include <cstdint>

#include "engine/base/image/image_budget.h"
#include "vision/preprocess/budget/smart_resize.h"

namespace mmbatch {

/// Pixels of an image as they count against a budget.
struct PixelCount {
  std::int64_t token = 1;   // of an image for one token
  std::int64_t frames = 1;  // times that they count
};

/// What an item or a job asks for, within what is possible.
/// @param file what the checkpoint's file says, for what it does not ask for
/// @throws ItemError invalid_value for what is not possible; the message says what is
PixelBudget asked_budget(const PixelBudget& file, const PixelCount& count, const ImageBudget& budget);

}  // namespace mmbatch
