#include <fmt/format.h>

#include "vision/image/image_formats.h"

namespace mmbatch::image_formats {
namespace {

constexpr std::size_t kInfo = 14;        // where the information header begins
constexpr std::uint32_t kCoreSize = 12;  // of OS/2's header, with 16-bit width and height
constexpr std::uint32_t kUncompressed = 0;
constexpr std::uint32_t kBitFields = 3;

struct BmpLayout {
  std::int64_t width;
  std::int64_t height;  // positive; stored negative when the rows run from top to bottom
  std::uint32_t bits;
  std::uint32_t compression;
};

BmpLayout read_layout(const ImageBytes& bytes) {
  const std::uint32_t header_size = bytes.u32_le(kInfo);
  if (header_size == kCoreSize) {
    return {bytes.u16_le(kInfo + 4), bytes.u16_le(kInfo + 6), bytes.u16_le(kInfo + 10), kUncompressed};
  }
  if (header_size < 40 || header_size > 1024) {
    bytes.damaged(fmt::format("its information header has {} bytes", header_size));
  }
  const auto width = static_cast<std::int32_t>(bytes.u32_le(kInfo + 4));
  const auto height = static_cast<std::int32_t>(bytes.u32_le(kInfo + 8));
  return {width, height < 0 ? -std::int64_t{height} : height, bytes.u16_le(kInfo + 14),
          bytes.u32_le(kInfo + 16)};
}

}  // namespace

ImageHeader read_bmp(const ImageBytes& bytes) {
  const BmpLayout layout = read_layout(bytes);
  switch (layout.bits) {
    case 1:
    case 4:
    case 8:
    case 16:
    case 24:
    case 32:
      break;
    default:
      bytes.unsupported(fmt::format("a depth of {} bits", layout.bits));
  }
  if (layout.compression > kBitFields) {
    bytes.unsupported(fmt::format("compression {}", layout.compression));
  }
  return {ImageFormat::bmp, layout.width, layout.height, 1};
}

void check_bmp(const ImageBytes& bytes) {
  const BmpLayout layout = read_layout(bytes);
  const std::size_t pixels_at = bytes.u32_le(10);
  if (!bytes.has(pixels_at, 1)) bytes.truncated();
  if (layout.compression != kUncompressed && layout.compression != kBitFields) return;  // run lengths
  // Divided, not multiplied: sizes that no file can have must not overflow.
  const std::int64_t row_bytes = (layout.width * layout.bits + 31) / 32 * 4;
  const auto available = static_cast<std::int64_t>(bytes.size() - pixels_at);
  const std::int64_t full_rows = available / row_bytes;
  const std::int64_t rest = available % row_bytes;
  const std::int64_t last_row = (layout.width * layout.bits + 7) / 8;  // its padding may be missing
  if (full_rows + (rest >= last_row ? 1 : 0) < layout.height) bytes.truncated();
}

}  // namespace mmbatch::image_formats
