#include "pipeline/stages/images/decode_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "engine/base/error.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {
namespace {

std::uint32_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return at < bytes.size() ? std::to_integer<std::uint32_t>(bytes[at]) : 0;
}

/// Whether a JPEG is progressive: its frame header is SOF2, or another one that is not sequential (ITU-T T.81
/// table B.1).
bool is_progressive(std::span<const std::byte> jpeg) {
  for (std::size_t at = 2; at + 4 <= jpeg.size();) {
    const std::uint32_t marker = byte_at(jpeg, at + 1);
    if (byte_at(jpeg, at) != 0xFF || marker == 0xFF) {
      ++at;
      continue;
    }
    const bool is_table = marker == 0xC4 || marker == 0xC8 || marker == 0xCC;
    if (marker >= 0xC0 && marker <= 0xCF && !is_table) return marker > 0xC1;
    at += 2 + (byte_at(jpeg, at + 2) << 8 | byte_at(jpeg, at + 3));
  }
  return true;
}

// What a helper process has of a picture before it is here: its own, and that in shared memory.
constexpr std::size_t kHelper = 3 + 3;

/// Bytes for each pixel of a page or frame that are held beside the picture.
std::size_t bytes_beside_page(ImageFormat format) {
  switch (format) {
    case ImageFormat::gif:
      return kHelper + 3;  // what was shown before the frame
    case ImageFormat::webp:
      return kHelper + 4 + 4 + 4;  // the canvas, the one before it, and the decoder's rows or pixels
    case ImageFormat::tiff:
      return kHelper + 8 + 3;  // strips, planes or the library's own picture; the copy that is turned upright
    default:
      return 16;
  }
}

/// Bytes for each pixel that the library of the format holds beside the picture.
std::size_t bytes_beside(std::span<const std::byte> encoded, const ImageHeader& header) {
  constexpr std::int64_t kLookedAtTwice =
      24'000'000;  // pixels; smaller sequential JPEGs may be (codec/jpeg.cpp)
  switch (header.format) {
    case ImageFormat::jpeg:
      // int16 coefficients of three components
      return header.width * header.height <= kLookedAtTwice || is_progressive(encoded) ? 6 : 0;
    case ImageFormat::png: {
      // IHDR comes first: bit depth at 24, interlace method at 28.
      const bool wide = byte_at(encoded, 24) == 16, interlaced = byte_at(encoded, 28) != 0;
      return wide ? 8 : interlaced ? 4 : 0;
    }
    case ImageFormat::bmp:
      return 0;
    case ImageFormat::gif:
      return kHelper;
    case ImageFormat::webp:
      return 4;
    case ImageFormat::tiff:
      return 8;
    default:
      return 16;  // in a helper process: planes, floats, what the decoder refers to, and shared memory
  }
}

}  // namespace

std::size_t decode_memory(std::span<const std::byte> encoded, const ImagePart& part,
                          const ImageHeader& header) {
  constexpr std::size_t kRgb = 3;
  const std::size_t turned = header.orientation != 1 ? kRgb : 0;
  const bool page = !part.empty() && comes_in_parts(header.format);
  const std::size_t beside = page ? bytes_beside_page(header.format) : bytes_beside(encoded, header);
  const std::size_t copies = page || needs_helper(header.format) ? 2 : 1;  // one is shared with the helper
  const auto pixels = static_cast<std::size_t>(header.width) * static_cast<std::size_t>(header.height);
  return pixels * (kRgb + turned + beside) + copies * encoded.size();
}

std::size_t padding_memory(const ImageHeader& header) {
  const auto side = static_cast<std::size_t>(std::max(header.width, header.height));
  if (header.width == header.height || side > Preprocessor::kMaxPaddedSide) return 0;
  return 3 * side * side;
}

void check_preparation(const PreparationMemory& memory, const PictureSides& picture, std::size_t available) {
  const std::size_t needed = memory.preparing + memory.encoding;
  if (needed <= available) return;
  const auto gigabytes = [](std::size_t bytes) { return static_cast<double>(bytes) / 1e9; };
  throw ItemError(
      ErrorCode::image_too_large,
      fmt::format(
          "the image of {} x {} pixels becomes {} patches, for which the vision tower takes about {:.1f} GB; "
          "this machine, or this process's limit, has {:.1f} GB: lower image_tokens or min_pixels and "
          "max_pixels, which the model's preprocessor_config.json may set, too",
          picture.width, picture.height, memory.patches, gigabytes(needed), gigabytes(available)));
}

}  // namespace mmbatch
