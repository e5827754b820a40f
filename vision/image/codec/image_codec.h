#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vision/image/image.h"
#include "vision/image/image_header.h"

namespace mmbatch {

// The functions of the codec modules, which are shared objects of their own: programs that look at no image
// are not to load the formats' libraries. `libmmbatch_image_codec.so` decodes PNG, JPEG, WebP and TIFF;
// `libmmbatch_image_codec_more.so` decodes the formats that only helper processes touch. The number in a
// symbol changes with the types.

struct CodecRequest {
  std::span<const std::byte> encoded;
  ImageFormat format = ImageFormat::png;
  TruncatedImages truncated = TruncatedImages::fail;
};

struct CodecResult {
  enum class Outcome {
    decoded,
    damaged,     // pixels are missing or wrong
    unsupported  // a sound file of a variety that is not read
  };
  Outcome outcome = Outcome::damaged;
  std::string problem;  // unless decoded: in the library's words; never empty
};

/// Decodes to RGB. Throws nothing and prints nothing. Thread-safe.
/// @param image PNG, JPEG, WebP and TIFF: has the size that the file's header says, and gets the pixels as
/// stored; the file is damaged if it holds another size. Other formats: gets size and pixels, upright.
using DecodePixels = void(const CodecRequest& request, Image& image, CodecResult& result);
inline constexpr const char* kDecodePixelsSymbol = "mmbatch_decode_pixels_2";

/// Encodes an image as JPEG into `bytes`; left empty when that fails. Throws nothing. Thread-safe. Stands in
/// `libmmbatch_thumbnail_codec.so`, which only the report loads.
using EncodeJpeg = void(const Image& image, std::string& bytes);
inline constexpr const char* kEncodeJpegSymbol = "mmbatch_encode_jpeg_2";

}  // namespace mmbatch
