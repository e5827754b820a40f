#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vision/image/image.h"

namespace mmbatch {

/// What the decoding library made of an encoded image.
struct CodecResult {
  enum class Outcome { decoded, damaged, other_size, unsupported_samples };
  Outcome outcome = Outcome::damaged;
  std::string problem;  // of a damaged image, in the library's words; may be empty
  int width = 0;        // that the file really holds
  int height = 0;
};

// The functions of the codec module, which is a shared object of its own: the library brings about 140 others
// with it, and only programs that look at images are to load them. The number in a name changes with the
// types.

/// Decodes PNG, JPEG, WebP, BMP or TIFF to RGB as stored (TIFF upright) into `image`, which has the size that
/// the file's header says. Throws nothing; messages of the codecs go to C's `stderr` and std::cerr.
/// Thread-safe.
using DecodePixels = void(const std::vector<std::uint8_t>& encoded, Image& image, CodecResult& result);

inline constexpr const char* kDecodePixelsSymbol = "mmbatch_decode_pixels_1";

/// Encodes an image as JPEG into `bytes`; left empty when that fails. Throws nothing. Thread-safe.
using EncodeJpeg = void(const Image& image, std::vector<std::uint8_t>& bytes);
inline constexpr const char* kEncodeJpegSymbol = "mmbatch_encode_jpeg_1";

}  // namespace mmbatch
