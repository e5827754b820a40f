#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vision/image/image.h"
#include "vision/image/image_header.h"

namespace mmbatch {

/// What an image may need before it is refused. Checked against the file's header: nothing of a refused image
/// is decoded.
struct ImageLimits {
  std::size_t max_bytes = std::size_t{256} << 20;  // of the encoded file
  /// width × height. The default is a quarter of a GiB of RGB, the size above which Pillow warns.
  std::int64_t max_pixels = (std::int64_t{1} << 30) / 4 / 3;
  std::int64_t max_side = std::int64_t{1} << 20;  // width and height each
  TruncatedImages truncated = TruncatedImages::fail;
  std::chrono::milliseconds helper_time{30'000};  // of a helper process over one image
};

/// Decodes an image (of several frames or pages the first) to upright RGB; the bytes decide on the format.
///
/// Gives what Pillow's ImageOps.exif_transpose() and convert("RGB") give, bit for bit in PNG, JPEG, WebP,
/// BMP, TIFF and GIF: grey in three equal channels, palettes looked up, alpha dropped without blending,
/// orientation applied, CMYK converted without a profile. Samples of 16 bits keep their high byte (Pillow
/// does the same for colour; its 16-bit grey saturates, this does not). Pixels are never made up: one that is
/// missing, damaged or without a colour in its palette fails the image (unless `limits.truncated` accepts
/// that), where Pillow shows some of them. HEIC, AVIF, JPEG XL and JPEG 2000 are as their libraries give
/// them, a few units from Pillow's plug-ins; they and GIF are decoded by a helper process (image_helper.h).
/// Prints nothing. Thread-safe.
/// @throws ItemError image_too_large beyond `limits`, unsupported for other formats and varieties,
/// image_unreadable for damaged or truncated files; ModelError as load_image_decoder().
Image decode_image(std::span<const std::byte> encoded, const ImageLimits& limits = {});

/// @throws ItemError image_too_large for a picture beyond `limits`
void check_image_limits(const ImageHeader& header, const ImageLimits& limits);

/// Loads the decoding library, which otherwise the first decode_image() does, so that a faulty installation
/// shows before any work is done.  @throws ModelError
void load_image_decoder();

}  // namespace mmbatch
