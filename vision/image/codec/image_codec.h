#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/base/image/image_part.h"
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
  ImagePart part = {};          // of TIFF, GIF and WebP files: a page of theirs, which sets the image's size
  std::int64_t max_pixels = 0;  // … up to so many
};

struct CodecResult {
  enum class Outcome {
    decoded,
    damaged,      // pixels are missing or wrong
    unsupported,  // a sound file of a variety that is not read
    absent        // a sound file without the page or moment that is asked for
  };
  Outcome outcome = Outcome::damaged;
  std::string problem;  // unless decoded: in the library's words; never empty
};

/// Decodes to RGB. Throws nothing and prints nothing. Thread-safe.
/// @param image PNG, JPEG, WebP and TIFF: has the size that the file's header says, and gets the pixels as
/// stored; the file is damaged if it holds another size. Other formats: gets size and pixels, upright.
using DecodePixels = void(const CodecRequest& request, Image& image, CodecResult& result);
inline constexpr const char* kDecodePixelsSymbol = "mmbatch_decode_pixels_3";

/// What is asked of a file that holds several pictures, and what is found.
struct DocumentRequest {
  enum class Wanted { count, size, pixels };
  Wanted wanted = Wanted::count;
  CodecRequest file;
};
struct DocumentFacts {
  std::uint32_t pages = 0;  // of a document, or frames of an animation
  double seconds = 0;       // of a video
  int width = 0;            // of the part that was asked for
  int height = 0;
};

/// Counts a document's pages, measures one, or draws it upright. Stands in `libmmbatch_document_codec.so`
/// (PDF, TIFF, GIF, WebP) and `libmmbatch_video_codec.so`, which only helper processes load. Throws nothing.
using ReadDocument = void(const DocumentRequest& request, DocumentFacts& facts, Image& image,
                          CodecResult& result);
inline constexpr const char* kReadDocumentSymbol = "mmbatch_read_document_1";

/// Encodes an image as JPEG into `bytes`; left empty when that fails. Throws nothing. Thread-safe. Stands in
/// `libmmbatch_thumbnail_codec.so`, which only the report loads.
using EncodeJpeg = void(const Image& image, std::string& bytes);
inline constexpr const char* kEncodeJpegSymbol = "mmbatch_encode_jpeg_2";

}  // namespace mmbatch
