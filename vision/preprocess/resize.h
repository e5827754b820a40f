#pragma once

#include <cstdint>
#include <optional>

#include "vision/image/image.h"

namespace mmbatch {

/// Filters, with the numbers by which preprocessor_config.json knows them (Pillow's Image.Resampling).
enum class Resample { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4, hamming = 5 };

/// The filter of a number; none when there is no such filter.
std::optional<Resample> resample_from(std::int64_t code);

/// Which of a resize's two passes comes first. Both round to 8 bits, so that the order shows in single
/// levels.
enum class PassOrder {
  horizontal_first,  // Pillow up to 12
  by_size,  // Pillow 13: the vertical pass, where it takes off over twice as much as the horizontal one
};

/// A filter and the order of its passes.
struct Resampling {
  // NOLINTNEXTLINE(runtime/explicit): a filter alone means today's Pillow
  Resampling(Resample filter_, PassOrder order_ = PassOrder::by_size) : filter(filter_), order(order_) {}
  Resample filter;
  PassOrder order;
};

/// Width and height of a picture that need not fit into memory as a whole.
struct ResizedSize {
  std::int64_t width = 0;
  std::int64_t height = 0;
};

/// A rectangle of a resized picture.
struct ResizeWindow {
  std::int64_t left = 0;
  std::int64_t top = 0;
  int width = 0;
  int height = 0;
};

/// The largest side of a ResizedSize.
constexpr std::int64_t kMaxResizedSide = std::int64_t{1} << 30;

/// `source` resized to `size`, bit-equal to Pillow's Image.resize() on 8-bit RGB: for all filters but
/// nearest, a support that grows with the reduction, and rounding to 8 bits after each of the two passes
/// (libImaging/Resample.c). Runs in tiles on the caller's arena
/// (engine/base/threads.h); the result does not depend on it.
/// @throws ItemError image_too_large when a side of `size` exceeds kMaxResizedSide.
Image resize(const Image& source, ResizedSize size, Resampling resampling);

/// The part `window` of resize(source, size, resampling), of which only the needed rows and columns are
/// computed: time and memory follow the window, not `size`. `window` must lie inside `size`.
Image resize_window(const Image& source, ResizedSize size, ResizeWindow window, Resampling resampling);

}  // namespace mmbatch
