#include "pipeline/stages/images/decode_memory.h"

#include <algorithm>
#include <cstdint>

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
    case ImageFormat::gif:
      return 0;
    case ImageFormat::webp:
      return 4;
    case ImageFormat::tiff:
      return 8;
    default:
      return 16;  // in a helper process: planes, floats, what the decoder refers to, and shared memory
  }
}

}  // namespace

std::size_t decode_memory(std::span<const std::byte> encoded, const ImageHeader& header) {
  constexpr std::size_t kRgb = 3;
  const std::size_t turned = header.orientation != 1 ? kRgb : 0;
  const auto pixels = static_cast<std::size_t>(header.width) * static_cast<std::size_t>(header.height);
  return pixels * (kRgb + turned + bytes_beside(encoded, header)) + encoded.size();
}

std::size_t padding_memory(const ImageHeader& header) {
  const auto side = static_cast<std::size_t>(std::max(header.width, header.height));
  if (header.width == header.height || side > Preprocessor::kMaxPaddedSide) return 0;
  return 3 * side * side;
}

}  // namespace mmbatch
