#include "vision/image/image_formats.h"

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

}  // namespace

ImageHeader read_png(const ImageBytes& bytes) {
  if (!bytes.matches(kFirstChunk + 4, "IHDR") || bytes.u32_be(kFirstChunk) != 13) {
    bytes.damaged("it does not start with its header chunk");
  }
  ImageHeader header{ImageFormat::png, bytes.u32_be(16), bytes.u32_be(20), 1};
  for (std::size_t at = kFirstChunk; bytes.has(at, kChunkFrame) && !bytes.matches(at + 4, "IEND");) {
    const std::size_t length = bytes.u32_be(at);
    if (!bytes.has(at, kChunkFrame + length)) break;  // check_png()'s matter
    if (bytes.matches(at + 4, "eXIf")) header.orientation = exif_orientation(bytes.part(at + 8, length));
    at += kChunkFrame + length;
  }
  return header;
}

void check_png(const ImageBytes& bytes) {
  std::size_t at = kFirstChunk;
  while (!bytes.matches(at + 4, "IEND")) at = chunk_at(bytes, at).next;
  chunk_at(bytes, at);
}

}  // namespace mmbatch::image_formats
