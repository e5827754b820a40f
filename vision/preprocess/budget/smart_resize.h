#pragma once

#include <cstdint>

#include "vision/preprocess/resize.h"

namespace mmbatch {

/// How many times as long as the other a side may be.
constexpr double kMostAspect = 200.0;

/// How many pixels a picture may have once it is resized.
struct PixelBudget {
  std::int64_t least = 56 * 56;
  std::int64_t most = 1280 * 28 * 28;
  bool operator==(const PixelBudget&) const = default;
};

/// What becomes of a side that is shorter than a unit, or rounds down to nothing.
enum class ShortSides {
  rounded,           // nothing special: the budget's least number of pixels enlarges the picture
  one_unit,          // it is rounded to one unit at least
  enlarged,          // the picture is first enlarged until both sides have a unit, rounded down
  enlarged_nearest,  // the same, rounded to the nearest pixel, the height first
};

/// How a family brings pictures to sizes that its tower can take.
struct ResizeRule {
  int unit = 28;   // both sides become multiples of it
  int frames = 1;  // a picture's pixels count so many times against the budget
  ShortSides short_sides = ShortSides::rounded;
  int shown_frames = 0;  // of a video whose number of frames is rounded in `frames`: as it is; 0: as there
};

/// The size to which a picture is resized so that both sides are multiples of the rule's unit, its pixels lie
/// within the budget and its aspect is kept as nearly as that allows: smart_resize() of the Hugging Face
/// image processors for towers that take pictures of any size (transformers 5.23), in doubles, with halves
/// rounded to even.
/// @throws ItemError image_too_large for a picture that is over 200 times as long as it is wide, or the other
/// way round
ResizedSize smart_resize(int width, int height, const ResizeRule& rule, const PixelBudget& budget);

/// A number of pixels rounded to the nearest multiple of the unit; halves go to the even one, whatever the
/// rounding mode of the thread.
double nearest_multiple(double pixels, double unit);

}  // namespace mmbatch
