#include "vision/image/formats/boxes.h"
#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {

ImageHeader read_jpeg2000(const ImageBytes& bytes) {
  ImageBytes stream = bytes;
  if (!bytes.matches(0, "\xFF\x4F\xFF\x51")) {
    const auto found = find_box(bytes, "jp2c");
    if (!found) bytes.damaged("it has no code stream");
    stream = found->data;
  }
  // SOC, SIZ, length (2), capabilities (2); then the reference grid's size and the picture's offset in it.
  if (!stream.matches(0, "\xFF\x4F\xFF\x51")) bytes.damaged("its code stream does not start with its size");
  const std::int64_t width = std::int64_t{stream.u32_be(8)} - stream.u32_be(16);
  const std::int64_t height = std::int64_t{stream.u32_be(12)} - stream.u32_be(20);
  const std::uint32_t components = stream.u16_be(40);
  if (components < 1 || components > 4) {
    bytes.unsupported("a picture of " + std::to_string(components) + " components");
  }
  // Tiles (their size is at byte 24): each costs memory of its own.
  const std::int64_t tile_width = stream.u32_be(24), tile_height = stream.u32_be(28);
  constexpr std::int64_t kMaxTiles = 1 << 16;
  if (tile_width < 1 || tile_height < 1) bytes.damaged("its tiles have no size");
  if (width > 0 && height > 0 && (width / tile_width + 1) > kMaxTiles / (height / tile_height + 1)) {
    bytes.unsupported("a picture of more than 65536 tiles");
  }
  // The first component may be subsampled (its separations are at byte 43).
  const std::uint32_t dx = stream.u8(43), dy = stream.u8(44);
  if (dx == 0 || dy == 0) bytes.damaged("a component has no size");
  return {ImageFormat::jpeg2000, (width + dx - 1) / dx, (height + dy - 1) / dy, 1};
}

}  // namespace mmbatch::image_formats
