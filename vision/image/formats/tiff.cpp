#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "vision/image/formats/formats.h"

namespace mmbatch::image_formats {
namespace {

enum Tag : std::uint32_t {
  kWidth = 256,
  kHeight = 257,
  kBitsPerSample = 258,
  kCompression = 259,
  kPhotometric = 262,
  kStripOffsets = 273,
  kOrientation = 274,
  kSamplesPerPixel = 277,
  kRowsPerStrip = 278,
  kStripByteCounts = 279,
  kPlanarConfiguration = 284,
  kColorMap = 320,
  kTileWidth = 322,
  kTileHeight = 323,
  kTileOffsets = 324,
  kTileByteCounts = 325,
  kExtraSamples = 338,
  kSampleFormat = 339,
};

constexpr std::size_t kEntryBytes = 12;  // tag (2), type (2), count (4), value or its offset (4)
constexpr std::int64_t kMaxTilePixels = 1 << 24;

/// The first directory of a TIFF file: unsigned integers by tag.
class Directory {
 public:
  explicit Directory(const ImageBytes& bytes) : bytes_(bytes) {
    little_ = bytes_.matches(0, {"II\x2A\0", 4});
    if (!little_ && !bytes_.matches(0, {"MM\0\x2A", 4})) bytes_.damaged("no TIFF byte order mark");
    first_ = u32(4);
    entries_ = u16(first_);
    first_ += 2;
    if (!bytes_.has(first_, entries_ * kEntryBytes)) bytes_.truncated();
  }

  /// The values of one tag; none when the tag is absent.
  struct Field {
    std::size_t at = 0;
    std::size_t value_bytes = 0;
    std::size_t count = 0;
  };

  Field field(std::uint32_t tag) const {
    const std::size_t entry = find(tag);
    if (entry == 0) return {};
    Field out{entry + 8, value_bytes(entry), u32(entry + 4)};
    if (out.value_bytes * out.count > 4) out.at = u32(entry + 8);
    return out;
  }

  std::uint32_t value(const Field& field, std::size_t index) const {
    const std::size_t at = field.at + index * field.value_bytes;
    return field.value_bytes == 1 ? bytes_.u8(at) : field.value_bytes == 2 ? u16(at) : u32(at);
  }

  /// The first value of `tag`, or `otherwise` when there is none.
  std::uint32_t value_or(std::uint32_t tag, std::uint32_t otherwise) const {
    const Field found = field(tag);
    return found.count == 0 ? otherwise : value(found, 0);
  }

 private:
  std::uint32_t u16(std::size_t at) const { return little_ ? bytes_.u16_le(at) : bytes_.u16_be(at); }
  std::uint32_t u32(std::size_t at) const { return little_ ? bytes_.u32_le(at) : bytes_.u32_be(at); }

  std::size_t value_bytes(std::size_t entry) const {
    switch (u16(entry + 2)) {
      case 1:
        return 1;  // BYTE
      case 3:
        return 2;  // SHORT
      case 4:
        return 4;  // LONG
      default:
        bytes_.damaged(fmt::format("tag {} is not an integer", u16(entry)));
    }
  }

  /// Position of the entry of `tag`, 0 when absent. A tag that is given twice might be read differently by
  /// the decoder, behind the back of the limits.
  std::size_t find(std::uint32_t tag) const {
    std::size_t found = 0;
    for (std::size_t i = 0; i < entries_; ++i) {
      const std::size_t entry = first_ + i * kEntryBytes;
      if (u16(entry) != tag) continue;
      if (found != 0) bytes_.damaged(fmt::format("tag {} is given twice", tag));
      found = entry;
    }
    return found;
  }

  ImageBytes bytes_;
  bool little_ = true;
  std::size_t first_ = 0;
  std::size_t entries_ = 0;
};

void check_variety(const ImageBytes& bytes, const Directory& directory) {
  const std::uint32_t samples = directory.value_or(kSamplesPerPixel, 1);
  if (samples < 1 || samples > 4) bytes.unsupported(fmt::format("a picture of {} samples a pixel", samples));
  const Directory::Field depths = directory.field(kBitsPerSample);
  const std::uint32_t bits = depths.count == 0 ? 1 : directory.value(depths, 0);
  for (std::size_t i = 1; i < std::min<std::size_t>(depths.count, samples); ++i) {
    if (directory.value(depths, i) != bits) bytes.unsupported("a picture of unequal depths");
  }
  if (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16) {
    bytes.unsupported(fmt::format("a depth of {} bits", bits));
  }
  if (directory.value_or(kSampleFormat, 1) != 1) bytes.unsupported("a picture of signed or float samples");
  // White is zero, black is zero, RGB, palette, CMYK, YCbCr.
  const std::uint32_t photometric = directory.value_or(kPhotometric, 0xFFFF);
  if (photometric > 6 || photometric == 4) {
    bytes.unsupported(fmt::format("photometric interpretation {}", photometric));
  }
  // libtiff would take the numbers of colours for grey.
  if (photometric == 3 && bits <= 8 && directory.field(kColorMap).count < std::size_t{3} << bits)
    bytes.damaged("it has no palette, or one that is too short");
  const std::int64_t tile_pixels =
      std::int64_t{directory.value_or(kTileWidth, 0)} * std::int64_t{directory.value_or(kTileHeight, 0)};
  if (tile_pixels < 0 || tile_pixels > kMaxTilePixels) bytes.unsupported("a tile of over 16 megapixels");
}

/// a × b, or the most there is: sizes that no file can have must not overflow.
std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? std::numeric_limits<std::int64_t>::max() : out;
}

/// The strips or tiles that a picture of this size is made of.
struct Chunks {
  bool tiled = false;
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t planes = 1;  // that have chunks of their own
  std::int64_t count = 0;
};

Chunks chunks_of(const Directory& directory) {
  const std::int64_t width = directory.value_or(kWidth, 0), height = directory.value_or(kHeight, 0);
  Chunks chunks;
  chunks.tiled = directory.field(kTileOffsets).count > 0;
  chunks.width = chunks.tiled ? directory.value_or(kTileWidth, 0) : width;
  chunks.height = directory.value_or(chunks.tiled ? kTileHeight : kRowsPerStrip, 0xFFFFFFFF);
  chunks.width = std::clamp<std::int64_t>(chunks.width, 1,
                                          chunks.tiled ? kMaxTilePixels : std::max<std::int64_t>(width, 1));
  chunks.height = std::clamp<std::int64_t>(chunks.height, 1,
                                           chunks.tiled ? kMaxTilePixels : std::max<std::int64_t>(height, 1));
  if (directory.value_or(kPlanarConfiguration, 1) == 2)
    chunks.planes = directory.value_or(kSamplesPerPixel, 1);
  const auto parts = [](std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; };
  chunks.count = product(product(parts(width, chunks.width), parts(height, chunks.height)), chunks.planes);
  return chunks;
}

}  // namespace

ImageHeader read_tiff(const ImageBytes& bytes) {
  const Directory directory(bytes);
  ImageHeader header{ImageFormat::tiff, directory.value_or(kWidth, 0), directory.value_or(kHeight, 0), 1};
  check_variety(bytes, directory);
  const std::uint32_t orientation = directory.value_or(kOrientation, 1);
  if (orientation >= 1 && orientation <= 8) header.orientation = static_cast<int>(orientation);
  return header;
}

void check_tiff(const ImageBytes& bytes) {
  const Directory directory(bytes);
  const Chunks chunks = chunks_of(directory);
  const Directory::Field offsets = directory.field(chunks.tiled ? kTileOffsets : kStripOffsets);
  const Directory::Field sizes = directory.field(chunks.tiled ? kTileByteCounts : kStripByteCounts);
  if (offsets.count == 0) bytes.damaged("it has neither strips nor tiles");
  const auto count = static_cast<std::size_t>(chunks.count);
  if (offsets.count < count || (sizes.count > 0 && sizes.count < count)) {
    bytes.damaged(fmt::format("it has {} of {} {}", std::min(offsets.count, sizes.count), count,
                              chunks.tiled ? "tiles" : "strips"));
  }
  const Directory::Field colors = directory.field(kColorMap);
  if (!bytes.has(colors.at, colors.count * colors.value_bytes)) bytes.truncated();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = i < sizes.count ? directory.value(sizes, i) : 1;
    if (size == 0) bytes.damaged(fmt::format("{} {} is empty", chunks.tiled ? "tile" : "strip", i));
    if (!bytes.has(directory.value(offsets, i), size)) bytes.truncated();
  }
}

/// Tiles are decoded whole, and each costs a start; strips end with the picture.
void check_tiff_work(const ImageBytes& bytes, const ImageHeader& header) {
  constexpr std::int64_t kMaxChunks = 1 << 20;
  const Chunks chunks = chunks_of(Directory(bytes));
  if (chunks.count > kMaxChunks) {
    bytes.unsupported(fmt::format("a picture of {} strips or tiles", chunks.count));
  }
  if (!chunks.tiled) return;
  const std::int64_t decoded = product(chunks.count, chunks.width * chunks.height) / chunks.planes;
  if (decoded > product(4, product(header.width, header.height)) && decoded > 2 * kMaxTilePixels) {
    bytes.unsupported(fmt::format("a picture of {} x {} pixels in tiles of {} x {}", header.width,
                                  header.height, chunks.width, chunks.height));
  }
}

int exif_orientation(const ImageBytes& exif) {
  try {
    const std::uint32_t orientation = Directory(exif).value_or(kOrientation, 1);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  } catch (const ItemError&) {
    return 1;
  }
}

}  // namespace mmbatch::image_formats
