#pragma once

#include <cstdint>
#include <optional>

#include "vision/image/image.h"

namespace mmbatch {

/// Filters, with the numbers by which preprocessor_config.json knows them (Pillow's Image.Resampling).
enum class Resample { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4, hamming = 5 };

/// The filter of a number; none when there is no such filter.
std::optional<Resample> resample_from(std::int64_t code);

/// Whose resize it is. Both passes round to 8 bits, so that their order and the bits of weights show in
/// single levels.
enum class ResizeBackend {
  pillow_12,    // and before: the horizontal pass first
  pillow_13,    // the vertical pass first, where it takes off over twice as much as the horizontal one
  torchvision,  // the horizontal pass first, with weights of 16 bits; bilinear and bicubic on 8-bit tensors
};

/// A filter, and whose it is.
struct Resampling {
  // NOLINTNEXTLINE(runtime/explicit): a filter alone means today's Pillow
  Resampling(Resample filter_, ResizeBackend backend_ = ResizeBackend::pillow_13)
      : filter(filter_), backend(backend_) {}
  Resample filter;
  ResizeBackend backend;
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

/// `source` resized to `size`, bit-equal to Pillow's Image.resize() on 8-bit RGB, or to torchvision's
/// resize() with antialias: for all filters but nearest, a support that grows with the reduction, and
/// rounding to 8 bits after each of the two passes (libImaging/Resample.c; ATen's UpSampleKernel.cpp). Runs
/// in tiles on the caller's arena (engine/base/threads.h); the result does not depend on it.
/// @throws ItemError image_too_large when a side of `size` exceeds kMaxResizedSide.
Image resize(const Image& source, ResizedSize size, Resampling resampling);

/// The part `window` of resize(source, size, resampling), of which only the needed rows and columns are
/// computed: time and memory follow the window, not `size`. `window` must lie inside `size`.
Image resize_window(const Image& source, ResizedSize size, ResizeWindow window, Resampling resampling);

}  // namespace mmbatch
