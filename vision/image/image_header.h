#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mmbatch {

/// The formats that are read; any other is refused by name.
enum class ImageFormat { png, jpeg, webp, bmp, tiff };

std::string_view to_string(ImageFormat format);

/// What an encoded image says of itself, known before a pixel of it is decoded.
struct ImageHeader {
  ImageFormat format = ImageFormat::png;
  std::int64_t width = 0;   // at least 1, as stored: before `orientation` is applied
  std::int64_t height = 0;  // at least 1
  int orientation = 1;      // EXIF, 1 … 8: JPEG APP1, PNG eXIf, TIFF tag 0x112, WebP EXIF; 1 where none is
};

/// Reads format, size and orientation from the bytes themselves (no file name takes part) without decoding.
/// Safe for any input; takes time linear in its size.
/// @throws ItemError image_unreadable when it is no image or its header is damaged, unsupported for a format
/// or variety that is not read.
ImageHeader read_image_header(std::span<const std::byte> encoded);

/// Walks the container to its end, since some decoders fill what is missing with grey and say nothing.
/// @throws ItemError image_unreadable when bytes of the picture are missing.
void check_image_complete(std::span<const std::byte> encoded, const ImageHeader& header);

}  // namespace mmbatch
