#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {
namespace {

// signature (8 bytes), then chunks: length (4, big-endian), type (4), data (length), CRC (4).
constexpr std::size_t kFirstChunk = 8;
constexpr std::size_t kChunkFrame = 12;

struct Chunk {
  std::size_t data;
  std::size_t length;
  std::size_t next;
};

Chunk chunk_at(const ImageBytes& bytes, std::size_t at) {
  const std::size_t length = bytes.u32_be(at);
  if (!bytes.has(at, kChunkFrame + length)) bytes.truncated();
  return {at + 8, length, at + kChunkFrame + length};
}

/// Colour type, bit depth and methods: what the format does not define is damage.
void check_variety(const ImageBytes& bytes) {
  const std::uint32_t depth = bytes.u8(24), type = bytes.u8(25);
  const bool power = depth != 0 && depth <= 16 && (depth & (depth - 1)) == 0;
  const bool fits = type == 0 ? power : type == 3 ? power && depth <= 8 : depth == 8 || depth == 16;
  if ((type != 0 && type != 2 && type != 3 && type != 4 && type != 6) || !fits) {
    bytes.damaged("its header asks for colour type " + std::to_string(type) + " with " +
                  std::to_string(depth) + " bits, which PNG does not have");
  }
  if (bytes.u8(26) != 0 || bytes.u8(27) != 0 || bytes.u8(28) > 1) {
    bytes.damaged("its header asks for compression " + std::to_string(bytes.u8(26)) + ", filter " +
                  std::to_string(bytes.u8(27)) + " and interlacing " + std::to_string(bytes.u8(28)) +
                  ", which PNG does not have");
  }
}

}  // namespace

ImageHeader read_png(const ImageBytes& bytes) {
  if (!bytes.matches(kFirstChunk + 4, "IHDR") || bytes.u32_be(kFirstChunk) != 13) {
    bytes.damaged("it does not start with its header chunk");
  }
  ImageHeader header{ImageFormat::png, bytes.u32_be(16), bytes.u32_be(20), 1};
  check_variety(bytes);
  for (std::size_t at = kFirstChunk; bytes.has(at, kChunkFrame) && !bytes.matches(at + 4, "IEND");) {
    const std::size_t length = bytes.u32_be(at);
    if (!bytes.has(at, kChunkFrame + length)) break;  // check_png()'s matter
    if (bytes.matches(at + 4, "eXIf")) header.orientation = exif_orientation(bytes.part(at + 8, length));
    at += kChunkFrame + length;
  }
  return header;
}

/// What follows the pixels, IEND too, may be missing.
void check_png(const ImageBytes& bytes) {
  bool has_pixels = false;
  for (std::size_t at = kFirstChunk; !bytes.matches(at + 4, "IEND");) {
    const bool is_pixels = bytes.matches(at + 4, "IDAT");
    if (has_pixels && !is_pixels) return;
    at = chunk_at(bytes, at).next;
    has_pixels = is_pixels;
    if (has_pixels && !bytes.has(at, 8)) return;
  }
  if (!has_pixels) bytes.damaged("it has no pixels (no IDAT chunk)");
}

}  // namespace mmbatch::image_formats
