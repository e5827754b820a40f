#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {
namespace {

// Markers of ITU-T T.81 table B.1.
constexpr std::uint32_t kStartOfImage = 0xD8;
constexpr std::uint32_t kEndOfImage = 0xD9;
constexpr std::uint32_t kStartOfScan = 0xDA;
constexpr std::uint32_t kApplication1 = 0xE1;

bool is_restart(std::uint32_t marker) {
  return marker >= 0xD0 && marker <= 0xD7;
}
bool stands_alone(std::uint32_t marker) {
  return is_restart(marker) || marker == 0x01 || marker == kStartOfImage || marker == kEndOfImage;
}
bool is_frame(std::uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

struct Segment {
  std::uint32_t marker;
  std::size_t data;    // after marker and length
  std::size_t length;  // of data
  std::size_t end;
};

/// Position of the next 0xFF at or after `at`.
std::size_t next_ff(const ImageBytes& bytes, std::size_t at) {
  if (at >= bytes.size()) bytes.truncated();
  const void* found = std::memchr(bytes.span().data() + at, 0xFF, bytes.size() - at);
  if (found == nullptr) bytes.truncated();
  return static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.span().data());
}

/// The first marker at or after `at`. Stuffed 0xFF00 and fill bytes are not markers; what is between
/// segments, and the entropy-coded data after a scan's header with its restart markers, is passed over.
Segment next_segment(const ImageBytes& bytes, std::size_t at) {
  while (true) {
    at = next_ff(bytes, at) + 1;
    const std::uint32_t marker = bytes.u8(at);
    if (marker == 0x00 || marker == 0xFF || is_restart(marker)) continue;
    ++at;
    if (stands_alone(marker)) return {marker, at, 0, at};
    const std::size_t length = bytes.u16_be(at);
    if (length < 2) bytes.damaged("a segment has no length");
    if (!bytes.has(at, length)) bytes.truncated();
    return {marker, at + 2, length - 2, at + length};
  }
}

ImageHeader read_frame(const ImageBytes& bytes, const Segment& frame) {
  // Baseline, extended and progressive Huffman coding, and the arithmetic-coded two of them.
  constexpr std::string_view kReadable = "\xC0\xC1\xC2\xC9\xCA";
  if (kReadable.find(static_cast<char>(frame.marker)) == std::string_view::npos) {
    bytes.unsupported(fmt::format("lossless or hierarchical coding (SOF{})", frame.marker - 0xC0));
  }
  if (frame.length < 6) bytes.damaged("its frame header is too short");
  const std::uint32_t precision = bytes.u8(frame.data);
  const std::uint32_t components = bytes.u8(frame.data + 5);
  if (precision != 8) bytes.unsupported(fmt::format("a precision of {} bits", precision));
  if (components != 1 && components != 3 && components != 4) {
    bytes.unsupported(fmt::format("a picture of {} components", components));
  }
  return {ImageFormat::jpeg, bytes.u16_be(frame.data + 3), bytes.u16_be(frame.data + 1), 1};
}

/// The identifiers that a frame's or a scan's header lists, `step` bytes apart behind its first `head` bytes.
std::vector<std::uint32_t> components_of(const ImageBytes& bytes, const Segment& segment, std::size_t head,
                                         std::size_t step) {
  std::vector<std::uint32_t> found;
  const std::size_t count = bytes.u8(segment.data + head - 1);
  for (std::size_t i = 0; i < count && head + i * step < segment.length; ++i) {
    found.push_back(bytes.u8(segment.data + head + i * step));
  }
  return found;
}

/// The coefficients of a progressive scan.
struct Spectrum {
  std::uint32_t first = 0, last = 63;
  bool refines = false;  // what an earlier scan brought
};

Spectrum spectrum_of(const ImageBytes& bytes, const Segment& scan) {
  const std::size_t behind = scan.data + 1 + 2 * bytes.u8(scan.data);
  const std::uint32_t last = bytes.u8(behind + 1);
  return {bytes.u8(behind), std::min<std::uint32_t>(last, 63), bytes.u8(behind + 2) >> 4 != 0};
}

}  // namespace

ImageHeader read_jpeg(const ImageBytes& bytes) {
  std::optional<int> orientation;  // of the first EXIF block
  for (Segment segment = next_segment(bytes, 2);; segment = next_segment(bytes, segment.end)) {
    if (segment.marker == kApplication1 && bytes.matches(segment.data, {"Exif\0\0", 6}) &&
        segment.length > 6 && !orientation) {
      orientation = exif_orientation(bytes.part(segment.data + 6, segment.length - 6));
    } else if (is_frame(segment.marker)) {
      ImageHeader header = read_frame(bytes, segment);
      header.orientation = orientation.value_or(1);
      return header;
    } else if (segment.marker == kStartOfScan || segment.marker == kEndOfImage) {
      bytes.damaged("no frame header before its data");
    }
  }
}

void check_jpeg(const ImageBytes& bytes) {
  // Of the frame's components, which coefficients a scan has brought: of a frame that is not progressive, all
  // at once.
  std::map<std::uint32_t, std::bitset<64>> brought;
  bool has_scan = false, progressive = false;
  for (Segment segment = next_segment(bytes, 2);; segment = next_segment(bytes, segment.end)) {
    if (segment.marker == kEndOfImage) break;
    if (is_frame(segment.marker) && !has_scan) {
      progressive = segment.marker == 0xC2 || segment.marker == 0xCA;
      brought.clear();
      for (const std::uint32_t component : components_of(bytes, segment, 6, 3)) {
        if (!brought.emplace(component, 0).second)
          bytes.damaged(fmt::format("its frame has component {} twice", component));
      }
    }
    if (segment.marker != kStartOfScan) continue;
    has_scan = true;
    const Spectrum spectrum = progressive ? spectrum_of(bytes, segment) : Spectrum{};
    for (const std::uint32_t component : components_of(bytes, segment, 1, 2)) {
      for (std::uint32_t k = spectrum.first; k <= spectrum.last; ++k) {
        if (spectrum.refines && !brought[component][k])
          bytes.damaged(fmt::format("a scan refines what no scan brought of component {}", component));
        brought[component].set(k);
      }
    }
  }
  if (!has_scan) bytes.damaged("it ends before any pixel");
  // What a file leaves out of the higher ones is its own affair (T.81 asks for no more).
  for (const auto& [component, coefficients] : brought) {
    if (!coefficients[0]) bytes.damaged(fmt::format("no scan brings component {}", component));
  }
}

/// A scan may be empty and still cost a walk over the whole picture. No encoder writes more than a few dozen.
void check_jpeg_work(const ImageBytes& bytes, const ImageHeader& header) {
  constexpr std::int64_t kMostPixels = 3'000'000'000, kAlways = 24, kMost = 500;
  const std::int64_t allowed = std::clamp(kMostPixels / (header.width * header.height), kAlways, kMost);
  std::int64_t scans = 0;
  const std::span<const std::byte> all = bytes.span();
  for (std::size_t at = 2; at + 1 < all.size(); ++at) {
    const void* found = std::memchr(all.data() + at, 0xFF, all.size() - 1 - at);
    if (found == nullptr) return;
    at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - all.data());
    if (all[at + 1] != std::byte{kStartOfScan}) continue;
    if (++scans > allowed) {
      bytes.unsupported(fmt::format("more than {} scans in a picture of {} x {} pixels", allowed,
                                    header.width, header.height));
    }
  }
}

}  // namespace mmbatch::image_formats
