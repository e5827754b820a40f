#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vision/image/image.h"

namespace mmbatch {

/// What an image may need before it is refused. Checked against the file's header: nothing of a refused image
/// is decoded.
struct ImageLimits {
  std::size_t max_bytes = std::size_t{256} << 20;  // of the encoded file
  /// width × height. The default is a quarter of a GiB of RGB, the size above which Pillow warns.
  std::int64_t max_pixels = (std::int64_t{1} << 30) / 4 / 3;
  std::int64_t max_side = std::int64_t{1} << 20;  // width and height each: the decoder's own limit
};

/// Decodes PNG, JPEG, WebP, BMP or TIFF (its first page) to upright RGB; the bytes decide on the format.
///
/// Gives what Pillow's ImageOps.exif_transpose() and convert("RGB") give, bit for bit: grey in three equal
/// channels, palettes looked up, alpha dropped without blending, EXIF orientation applied. Samples of 16 bits
/// keep their high byte (Pillow does the same for colour; its 16-bit grey saturates, this does not).
/// Different from Pillow by a few units: JPEG in CMYK, BMP of 16 bits a pixel.
/// Prints nothing. Thread-safe.
/// @throws ItemError image_too_large beyond `limits`, unsupported for other formats and varieties,
/// image_unreadable for damaged or truncated files; ModelError as load_image_decoder().
Image decode_image(std::span<const std::byte> encoded, const ImageLimits& limits = {});

/// Loads the decoding library, which otherwise the first decode_image() does, so that a faulty installation
/// shows before any work is done.  @throws ModelError
void load_image_decoder();

}  // namespace mmbatch
