#include <algorithm>
#include <optional>
#include <vector>

#include "vision/image/formats/boxes.h"
#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {
namespace {

constexpr std::size_t kFullBox = 4;  // version (1) and flags (3) at the start of a box's data

std::uint32_t primary_item(const ImageBytes& meta) {
  const auto box = find_box(meta, "pitm", kFullBox);
  if (!box) meta.damaged("it names no primary image");
  return box->data.u8(0) == 0 ? box->data.u16_be(kFullBox) : box->data.u32_be(kFullBox);
}

/// The numbers (from 1) of the properties of one item, in the order in which they apply.
std::vector<std::uint32_t> properties_of(const ImageBytes& ipma, std::uint32_t item) {
  const bool wide_id = ipma.u8(0) > 0, wide_index = (ipma.u8(3) & 1) != 0;
  std::size_t at = kFullBox + 4;
  std::vector<std::uint32_t> found;
  for (std::uint32_t entries = ipma.u32_be(kFullBox); entries > 0; --entries) {
    const std::uint32_t id = wide_id ? ipma.u32_be(at) : ipma.u16_be(at);
    at += wide_id ? 4 : 2;
    const std::uint32_t count = ipma.u8(at++);
    for (std::uint32_t i = 0; i < count; ++i) {
      // Its highest bit says whether the property is essential.
      const std::uint32_t index = wide_index ? ipma.u16_be(at) & 0x7FFF : ipma.u8(at) & 0x7F;
      at += wide_index ? 2 : 1;
      if (id == item) found.push_back(index);
    }
  }
  return found;
}

/// A picture that is mirrored (left and right exchanged) if so, then turned by quarters counter-clockwise.
struct Turn {
  unsigned quarters = 0;
  bool mirrored = false;

  /// Top and bottom exchanged is left and right exchanged and half a turn.
  void mirror(unsigned half_turns) {
    quarters = (2 * half_turns + 4 - quarters) % 4;
    mirrored = !mirrored;
  }
  /// EXIF's number for it.
  int orientation() const {
    constexpr int kTurned[] = {1, 8, 3, 6}, kMirrored[] = {2, 5, 4, 7};
    return (mirrored ? kMirrored : kTurned)[quarters];
  }
};

}  // namespace

ImageHeader read_heif(const ImageBytes& bytes) {
  const auto type = find_box(bytes, "ftyp");
  const auto meta_box = find_box(bytes, "meta");
  if (!type || !meta_box) bytes.damaged("it has no image items");
  const ImageBytes& meta = meta_box->data;
  const auto properties = find_box(meta, "iprp", kFullBox);
  if (!properties) meta.damaged("it has no image properties");
  const auto container = find_box(properties->data, "ipco");
  const auto associations = find_box(properties->data, "ipma");
  if (!container || !associations) meta.damaged("it has no image properties");
  std::vector<Box> boxes;
  for (std::size_t at = 0; at < container->data.size(); at = boxes.back().end) {
    boxes.push_back(box_at(container->data, at));
  }
  ImageHeader header{ImageFormat::heic, 0, 0, 1};
  if (bytes.format() == to_string(ImageFormat::avif)) header.format = ImageFormat::avif;
  Turn turn;
  for (const std::uint32_t index : properties_of(associations->data, primary_item(meta))) {
    if (index < 1 || index > boxes.size()) continue;
    const Box& box = boxes[index - 1];
    if (box.type == "ispe") {
      header.width = box.data.u32_be(kFullBox);
      header.height = box.data.u32_be(kFullBox + 4);
    } else if (box.type == "clap") {
      // What is to be seen of it, in fractions (ISO 14496-12, 12.1.4); encoders fill up to whole blocks.
      const std::uint32_t width_parts = box.data.u32_be(4), height_parts = box.data.u32_be(12);
      if (width_parts == 0 || height_parts == 0) bytes.damaged("its clean aperture has no size");
      header.width = std::min<std::int64_t>(header.width, box.data.u32_be(0) / width_parts);
      header.height = std::min<std::int64_t>(header.height, box.data.u32_be(8) / height_parts);
      if (header.width == 0 || header.height == 0) bytes.damaged("its clean aperture has no size");
    } else if (box.type == "irot") {
      turn.quarters = (turn.quarters + box.data.u8(0)) % 4;
    } else if (box.type == "imir") {
      turn.mirror((box.data.u8(0) & 1) == 0 ? 1 : 0);
    }
  }
  if (header.width == 0) bytes.damaged("its primary image has no size");
  header.orientation = turn.orientation();
  return header;
}

}  // namespace mmbatch::image_formats
