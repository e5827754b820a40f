#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "vision/image/formats/formats.h"
#include "vision/image/palette_use.h"

namespace mmbatch::image_formats {
namespace {

constexpr std::size_t kInfo = 14;        // where the information header begins
constexpr std::uint32_t kCoreSize = 12;  // of OS/2's header, with 16-bit width and height
enum Compression : std::uint32_t { kNone = 0, kRuns8 = 1, kRuns4 = 2, kBitFields = 3, kAlphaBitFields = 6 };

struct Layout {
  std::uint32_t header_size;
  std::int64_t width;
  std::int64_t height;  // positive
  bool top_down;        // stored with a negative height
  std::uint32_t bits;
  std::uint32_t compression;
  std::size_t pixels_at;

  bool is_runs() const { return compression == kRuns8 || compression == kRuns4; }
  std::size_t row_bytes() const { return static_cast<std::size_t>((width * bits + 31) / 32 * 4); }
  /// Of a row; its padding may be missing at the end.
  std::size_t used_bytes() const { return static_cast<std::size_t>((width * bits + 7) / 8); }
};

Layout read_layout(const ImageBytes& bytes) {
  const std::uint32_t header_size = bytes.u32_le(kInfo);
  const std::size_t pixels_at = bytes.u32_le(10);
  if (header_size == kCoreSize) {
    return {header_size, bytes.u16_le(kInfo + 4),  bytes.u16_le(kInfo + 6),
            false,       bytes.u16_le(kInfo + 10), kNone,
            pixels_at};
  }
  if (header_size < 40 || header_size > 1024) {
    bytes.damaged(fmt::format("its information header has {} bytes", header_size));
  }
  const auto width = static_cast<std::int32_t>(bytes.u32_le(kInfo + 4));
  const auto height = static_cast<std::int32_t>(bytes.u32_le(kInfo + 8));
  return {header_size,
          width,
          height < 0 ? -std::int64_t{height} : height,
          height < 0,
          bytes.u16_le(kInfo + 14),
          bytes.u32_le(kInfo + 16),
          pixels_at};
}

void check_variety(const ImageBytes& bytes, const Layout& layout) {
  constexpr std::array kDepths = {1u, 4u, 8u, 16u, 24u, 32u};
  if (std::find(kDepths.begin(), kDepths.end(), layout.bits) == kDepths.end()) {
    bytes.unsupported(fmt::format("a depth of {} bits", layout.bits));
  }
  const auto needs = [&](bool fits) {
    if (!fits)
      bytes.damaged(fmt::format("compression {} does not go with {} bits", layout.compression, layout.bits));
  };
  switch (layout.compression) {
    case kNone:
      return;
    case kRuns8:
    case kRuns4:
      needs(layout.bits == (layout.compression == kRuns8 ? 8 : 4));
      if (layout.top_down) bytes.damaged("run lengths cannot run from top to bottom");
      return;
    case kBitFields:
    case kAlphaBitFields:
      return needs(layout.bits >= 16);
    default:
      bytes.unsupported(fmt::format("compression {}", layout.compression));
  }
}

/// One colour's bits of a pixel, scaled so that all of them set are 255.
class Channel {
 public:
  Channel() = default;
  Channel(const ImageBytes& bytes, std::uint32_t mask)
      : shift_(std::countr_zero(mask)), most_(mask == 0 ? 0 : mask >> shift_) {
    if (mask == 0 || (most_ & (most_ + 1)) != 0) {
      bytes.damaged(fmt::format("its colour mask {:08x} is not a run of bits", mask));
    }
    for (std::uint32_t value = 0; most_ < kTable && value <= most_; ++value) {
      scaled_[value] = static_cast<std::uint8_t>(value * 255 / most_);
    }
  }
  std::uint8_t operator()(std::uint32_t pixel) const {
    const std::uint32_t value = pixel >> shift_ & most_;
    if (most_ < kTable) return scaled_[value];
    return static_cast<std::uint8_t>(std::uint64_t{value} * 255 / most_);
  }

 private:
  static constexpr std::uint32_t kTable = 256;
  int shift_ = 0;
  std::uint32_t most_ = 0;
  std::array<std::uint8_t, kTable> scaled_{};
};

std::array<Channel, 3> channels_of(const ImageBytes& bytes, const Layout& layout) {
  std::uint32_t masks[3] = {0xFF0000, 0xFF00, 0xFF};
  if (layout.compression == kNone) {
    if (layout.bits == 16) masks[0] = 0x7C00, masks[1] = 0x3E0, masks[2] = 0x1F;
  } else {
    // After the old header, or the same place inside a newer one.
    for (std::size_t c = 0; c < 3; ++c) masks[c] = bytes.u32_le(kInfo + 40 + 4 * c);
    if ((masks[0] & masks[1]) != 0 || (masks[0] & masks[2]) != 0 || (masks[1] & masks[2]) != 0) {
      bytes.damaged("its colour masks overlap");
    }
  }
  return {Channel(bytes, masks[0]), Channel(bytes, masks[1]), Channel(bytes, masks[2])};
}

struct Palette {
  std::size_t count = 0;
  std::array<std::array<std::uint8_t, 3>, 256> rgb{};
};

Palette palette_of(const ImageBytes& bytes, const Layout& layout) {
  const std::size_t entry_bytes = layout.header_size == kCoreSize ? 3 : 4;
  const std::size_t at = kInfo + layout.header_size;
  std::size_t count = layout.header_size == kCoreSize ? 0 : bytes.u32_le(kInfo + 32);
  const std::size_t most = std::size_t{1} << layout.bits;
  if (count == 0 || count > most) count = most;
  // Some writers announce more colours than they write.
  if (layout.pixels_at > at) count = std::min(count, (layout.pixels_at - at) / entry_bytes);
  Palette palette{count, {}};
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      palette.rgb[i][c] = static_cast<std::uint8_t>(bytes.u8(at + i * entry_bytes + 2 - c));
    }
  }
  return palette;
}

class Decoder {
 public:
  Decoder(const ImageBytes& bytes, const Layout& layout, TruncatedImages truncated)
      : bytes_(bytes),
        layout_(layout),
        accept_(truncated == TruncatedImages::accept),
        image_(static_cast<int>(layout.width), static_cast<int>(layout.height)) {
    if (layout.bits <= 8) {
      palette_ = palette_of(bytes, layout);
    } else {
      channels_ = channels_of(bytes, layout);
    }
  }

  Image decode() {
    if (layout_.is_runs()) {
      decode_runs();
    } else {
      for (std::int64_t y = 0; y < layout_.height; ++y) {
        const std::size_t at = layout_.pixels_at + static_cast<std::size_t>(y) * layout_.row_bytes();
        if (!bytes_.has(at, layout_.used_bytes())) {
          if (accept_) break;
          bytes_.truncated();
        }
        decode_row(bytes_.span().data() + at, row(y));
      }
    }
    const auto color_at = [&](std::size_t i) { return palette_.rgb[i]; };
    if (layout_.bits <= 8 && !accept_ && use_.is_implausible(palette_.count, color_at))
      bytes_.damaged("a part of its palette is overwritten");
    return std::move(image_);
  }

 private:
  /// Row `y` of the file.
  std::uint8_t* row(std::int64_t y) {
    return image_.row(static_cast<int>(layout_.top_down ? y : layout_.height - 1 - y));
  }

  void put_index(std::uint8_t* rgb, std::size_t index) {
    if (index >= palette_.count && !accept_) {
      bytes_.damaged(fmt::format("a pixel has colour {}, the palette has {}", index, palette_.count));
    }
    use_.mark(index);
    std::memcpy(rgb, palette_.rgb[index].data(), 3);
  }

  void decode_row(const std::byte* from, std::uint8_t* rgb) {
    const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(from[i]); };
    const auto width = static_cast<std::size_t>(layout_.width);
    const std::size_t step = layout_.bits / 8;
    if (layout_.bits <= 8) {
      const std::uint32_t most = (1u << layout_.bits) - 1;
      for (std::size_t x = 0; x < width; ++x, rgb += 3) {
        const std::size_t bit = x * layout_.bits;
        put_index(rgb, byte(bit / 8) >> (8 - layout_.bits - bit % 8) & most);
      }
      return;
    }
    if (layout_.compression == kNone && layout_.bits >= 24) {
      for (std::size_t x = 0; x < width; ++x, rgb += 3) {
        for (std::size_t c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(byte(x * step + 2 - c));
      }
      return;
    }
    for (std::size_t x = 0; x < width; ++x, rgb += 3) {
      std::uint32_t pixel = 0;
      for (std::size_t i = 0; i < step; ++i) pixel |= byte(x * step + i) << 8 * i;
      for (std::size_t c = 0; c < 3; ++c) rgb[c] = channels_[c](pixel);
    }
  }

  /// Run lengths: (count, colours), or 0 and 0 = end of a row, 1 = end of the picture, 2 = a step to the
  /// right and up, else so many colours one by one, padded to an even length. What is stepped over has colour
  /// 0.
  void decode_runs() {
    for (std::int64_t y = 0; y < layout_.height; ++y) {
      for (std::int64_t x = 0; x < layout_.width; ++x) put_index(row(y) + 3 * x, 0);
    }
    std::size_t at = layout_.pixels_at;
    std::int64_t x = 0, y = 0, written = 0;
    const auto put = [&](std::uint32_t pair, std::uint32_t i) {
      if (x >= layout_.width || y >= layout_.height) return false;
      const std::size_t index = layout_.bits == 8 ? pair : i % 2 == 0 ? pair >> 4 : pair & 15;
      put_index(row(y) + 3 * x++, index);
      ++written;
      return true;
    };
    const auto complete = [&] {
      return y >= layout_.height || (y == layout_.height - 1 && x >= layout_.width);
    };
    while (!complete()) {
      if (!bytes_.has(at, 2)) return ends_early("truncated");
      const std::uint32_t count = bytes_.u8(at), value = bytes_.u8(at + 1);
      at += 2;
      if (count > 0) {
        for (std::uint32_t i = 0; i < count && put(value, i); ++i) {
        }  // some writers let the last run of a row reach past its end
      } else if (value == 0) {
        x = 0, ++y;
      } else if (value == 1) {
        return ends_early("it ends before its last pixel");
      } else if (value == 2) {
        if (!bytes_.has(at, 2)) return ends_early("truncated");
        x += bytes_.u8(at), y += bytes_.u8(at + 1);
        at += 2;
        if (x > layout_.width || y >= layout_.height) return ends_early("a step leaves the picture");
      } else {
        const std::size_t size = (value * layout_.bits + 7) / 8;
        for (std::uint32_t i = 0; i < value; ++i) {
          const std::size_t from = at + i * layout_.bits / 8;
          if (!bytes_.has(from, 1)) return ends_early("truncated");
          if (!put(bytes_.u8(from), i)) return ends_early("a run reaches past the end of its row");
        }
        at += size + size % 2;
      }
    }
    if (written < layout_.width * layout_.height * 3 / 4)
      ends_early("more than a quarter of its pixels are left out");
  }

  void ends_early(const char* problem) const {
    if (!accept_) bytes_.damaged(problem);
  }

  const ImageBytes& bytes_;
  const Layout layout_;
  const bool accept_;
  Image image_;
  Palette palette_;
  PaletteUse use_;
  std::array<Channel, 3> channels_;
};

}  // namespace

ImageHeader read_bmp(const ImageBytes& bytes) {
  const Layout layout = read_layout(bytes);
  check_variety(bytes, layout);
  return {ImageFormat::bmp, layout.width, layout.height, 1};
}

void check_bmp(const ImageBytes& bytes) {
  const Layout layout = read_layout(bytes);
  if (layout.pixels_at < kInfo + layout.header_size) bytes.damaged("its pixels begin inside its header");
  if (!bytes.has(layout.pixels_at, 1)) bytes.truncated();
  if (layout.is_runs()) return;
  // Divided, not multiplied: sizes that no file can have must not overflow.
  const std::size_t available = bytes.size() - layout.pixels_at;
  const std::size_t full_rows = available / layout.row_bytes(), rest = available % layout.row_bytes();
  const std::size_t rows = full_rows + (rest >= layout.used_bytes() ? 1 : 0);
  if (static_cast<std::int64_t>(rows) < layout.height) bytes.truncated();
}

Image decode_bmp(const ImageBytes& bytes, TruncatedImages truncated) {
  return Decoder(bytes, read_layout(bytes), truncated).decode();
}

}  // namespace mmbatch::image_formats
