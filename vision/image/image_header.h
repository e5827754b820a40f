#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/image/truncated_images.h"

namespace mmbatch {

/// The formats that are read; any other is refused by name. The last two are no images, but hold some
/// (document/document.h).
enum class ImageFormat { png, jpeg, webp, bmp, tiff, gif, heic, avif, jxl, jpeg2000, pdf, video };

std::string_view to_string(ImageFormat format);

/// Whether a format is decoded in a helper process: its library is too young, too large or too little tested
/// to be trusted with hostile bytes in this one.
bool needs_helper(ImageFormat format);

/// What an encoded image says of itself, known before a pixel of it is decoded.
struct ImageHeader {
  ImageFormat format = ImageFormat::png;
  std::int64_t width = 0;   // at least 1, as it is to be seen, before `orientation` is applied
  std::int64_t height = 0;  // at least 1
  int orientation = 1;  // EXIF 1 … 8, or what the container says in its stead (irot, imir, a JPEG XL header)
};

/// Reads format, size and orientation from the bytes themselves (no file name takes part) without decoding.
/// Of several frames or pages it is the first one's, or the canvas's. Safe for any input; takes time linear
/// in its size.
/// @throws ItemError image_unreadable when it is not an image or its header is damaged, unsupported for a
/// format or variety that is not read.
ImageHeader read_image_header(std::span<const std::byte> encoded);

/// Walks the container to its end, since some decoders fill what is missing with grey and say nothing.
/// @throws ItemError image_unreadable when bytes of the picture are missing.
void check_image_complete(std::span<const std::byte> encoded, const ImageHeader& header);

/// @throws ItemError unsupported when decoding would take far more work than the picture's pixels explain:
/// thousands of empty scans, tiles that overlap the picture's edge by far.
void check_image_work(std::span<const std::byte> encoded, const ImageHeader& header);

}  // namespace mmbatch
