#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {
namespace {

// "RIFF", size (4, little-endian, of all that follows), "WEBP", then chunks: type (4), length (4), data,
// padded to an even length.
constexpr std::size_t kFirstRiffChunk = 12;
constexpr std::size_t kChunkHead = 8;
constexpr std::size_t kFirstData = kFirstRiffChunk + kChunkHead;

int find_orientation(const ImageBytes& bytes) {
  for (std::size_t at = kFirstRiffChunk; bytes.has(at, kChunkHead);) {
    const std::size_t length = bytes.u32_le(at + 4);
    if (bytes.matches(at, "EXIF") && bytes.has(at + kChunkHead, length)) {
      // Some writers keep the "Exif\0\0" that a JPEG segment would begin with.
      const std::size_t head = bytes.matches(at + kChunkHead, {"Exif\0\0", 6}) && length >= 6 ? 6 : 0;
      return exif_orientation(bytes.part(at + kChunkHead + head, length - head));
    }
    at += kChunkHead + length + length % 2;
  }
  return 1;
}

}  // namespace

ImageHeader read_webp(const ImageBytes& bytes) {
  ImageHeader header{ImageFormat::webp, 0, 0, 1};
  if (bytes.matches(kFirstRiffChunk, "VP8 ")) {
    if (!bytes.matches(kFirstData + 3, "\x9D\x01\x2A")) bytes.damaged("no key frame");
    header.width = bytes.u16_le(kFirstData + 6) & 0x3FFF;
    header.height = bytes.u16_le(kFirstData + 8) & 0x3FFF;
  } else if (bytes.matches(kFirstRiffChunk, "VP8L")) {
    if (bytes.u8(kFirstData) != 0x2F) bytes.damaged("no lossless signature");
    const std::uint32_t bits = bytes.u32_le(kFirstData + 1);
    header.width = (bits & 0x3FFF) + 1;
    header.height = (bits >> 14 & 0x3FFF) + 1;
  } else if (bytes.matches(kFirstRiffChunk, "VP8X")) {
    header.width = bytes.u24_le(kFirstData + 4) + 1;
    header.height = bytes.u24_le(kFirstData + 7) + 1;
    header.orientation = find_orientation(bytes);
  } else {
    if (!bytes.has(kFirstRiffChunk, 4)) bytes.truncated();
    bytes.damaged("its first chunk is unknown");
  }
  return header;
}

void check_webp(const ImageBytes& bytes) {
  const std::size_t size = bytes.u32_le(4);
  // The padding byte of the last chunk is sometimes counted and not written.
  if (!bytes.has(8, size) && !(size > 0 && bytes.has(8, size - 1))) bytes.truncated();
}

}  // namespace mmbatch::image_formats
