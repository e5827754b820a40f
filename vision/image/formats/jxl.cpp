#include <vector>

#include "vision/image/formats/boxes.h"
#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {
namespace {

/// Least significant bit first.
class Bits {
 public:
  explicit Bits(const ImageBytes& bytes) : bytes_(bytes) {}
  std::uint32_t read(unsigned count) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < count; ++i, ++at_) value |= (bytes_.u8(at_ / 8) >> at_ % 8 & 1) << i;
    return value;
  }

 private:
  ImageBytes bytes_;
  std::size_t at_ = 0;
};

std::int64_t read_side(Bits& bits) {
  constexpr unsigned kWidths[] = {9, 13, 18, 30};
  return std::int64_t{1} + bits.read(kWidths[bits.read(2)]);
}

/// SizeHeader, and of ImageMetadata the orientation.
ImageHeader read_stream(const ImageBytes& stream) {
  Bits bits(stream.part(2, stream.size()));
  const bool small = bits.read(1) != 0;
  const auto side = [&] { return small ? (std::int64_t{bits.read(5)} + 1) * 8 : read_side(bits); };
  ImageHeader header{ImageFormat::jxl, 0, side(), 1};
  constexpr struct {
    std::int64_t width, height;
  } kRatios[] = {{0, 1}, {1, 1}, {12, 10}, {4, 3}, {3, 2}, {16, 9}, {5, 4}, {2, 1}};
  const std::uint32_t ratio = bits.read(3);
  header.width = ratio == 0 ? side() : header.height * kRatios[ratio].width / kRatios[ratio].height;
  const bool all_default = bits.read(1) != 0;
  if (!all_default && bits.read(1) != 0) header.orientation = static_cast<int>(bits.read(3)) + 1;
  return header;
}

}  // namespace

ImageHeader read_jxl(const ImageBytes& bytes) {
  constexpr std::string_view kStart = "\xFF\x0A";
  if (bytes.matches(0, kStart)) return read_stream(bytes);
  if (const auto whole = find_box(bytes, "jxlc")) {
    if (!whole->data.matches(0, kStart)) bytes.damaged("its code stream does not start with its signature");
    return read_stream(whole->data);
  }
  // In parts, whose data begin with a number; the header may reach into the second.
  std::vector<std::byte> start;
  for (std::size_t at = 0; at < bytes.size() && start.size() < 32;) {
    const Box box = box_at(bytes, at);
    if (box.type == "jxlp" && box.data.size() > 4) {
      const auto part = box.data.part(4, 32).span();
      start.insert(start.end(), part.begin(), part.end());
    }
    at = box.end;
  }
  const ImageBytes stream(start, bytes.format());
  if (!stream.matches(0, kStart)) bytes.damaged("it has no code stream");
  return read_stream(stream);
}

}  // namespace mmbatch::image_formats
