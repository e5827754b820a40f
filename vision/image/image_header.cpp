#include "vision/image/image_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "engine/base/files/lfs_pointer.h"
#include "vision/image/formats/formats.h"
#include "vision/image/formats/image_bytes.h"

namespace mmbatch {
namespace {

constexpr std::string_view kAllowed =
    "PNG, JPEG, WebP, BMP, TIFF, GIF, HEIC, AVIF, JPEG XL and JPEG 2000 are read";

struct Signature {
  std::size_t at;
  std::string_view magic;
  std::string_view name;
};

/// Formats that people do have as pictures and that are refused by their name.
constexpr Signature kRefused[] = {
    {0, "8BPS", "Photoshop"},
    {0, "\x76\x2F\x31\x01", "OpenEXR"},
    {0, {"II\x2B\0", 4}, "BigTIFF"},
    {0, {"MM\0\x2B", 4}, "BigTIFF"},
    {0, {"\0\0\1\0", 4}, "icon (ICO)"},
    {0, "P1\n", "PBM"},
    {0, "P2\n", "PGM"},
    {0, "P3\n", "PPM"},
    {0, "P4\n", "PBM"},
    {0, "P5\n", "PGM"},
    {0, "P6\n", "PPM"},
    {0, "DDS ", "DirectDraw (DDS)"},
    {0, "qoif", "QOI"},
    {0, "II\xBC\x01", "JPEG XR"},
    {0, "#?RADIANCE", "Radiance HDR"},
    {0, "%!PS", "PostScript"},
    {0, "\xD7\xCD\xC6\x9A", "Windows Metafile"},
};

/// The brands of a file of items (HEIF) say which codec it needs; of the first that is known.
std::optional<ImageFormat> format_of_brands(const ImageBytes& bytes) {
  if (!bytes.matches(4, "ftyp")) return {};
  const std::size_t end = std::min<std::size_t>(bytes.u32_be(0), 256);
  bool is_heif = false;
  for (std::size_t at = 8; at + 4 <= end && bytes.has(at, 4); at += at == 8 ? 8 : 4) {
    for (const std::string_view brand : {"avif", "avis"}) {
      if (bytes.matches(at, brand)) return ImageFormat::avif;
    }
    for (const std::string_view brand : {"heic", "heix", "heim", "heis", "hevc", "hevx"}) {
      if (bytes.matches(at, brand)) return ImageFormat::heic;
    }
    is_heif = is_heif || bytes.matches(at, "mif1") || bytes.matches(at, "msf1");
  }
  if (is_heif) return ImageFormat::heic;
  throw ItemError(
      ErrorCode::unsupported,
      fmt::format("this is a video or another file of tracks, whose frames 'video' shows; {}", kAllowed));
}

/// Text, whatever declarations and comments come before the drawing.
bool is_svg(const ImageBytes& bytes) {
  std::size_t at = bytes.matches(0, "\xEF\xBB\xBF") ? 3 : 0;
  while (bytes.has(at, 1) &&
         std::string_view(" \t\r\n").find(static_cast<char>(bytes.u8(at))) != std::string_view::npos) {
    ++at;
  }
  if (!bytes.matches(at, "<")) return false;
  const ImageBytes start = bytes.part(at, 4096);
  const std::string_view text(reinterpret_cast<const char*>(start.span().data()), start.size());
  return text.find("<svg") != std::string_view::npos || text.find("<!DOCTYPE svg") != std::string_view::npos;
}

void refuse_by_name(const ImageBytes& bytes) {
  if (bytes.matches(0, "%PDF"))
    throw ItemError(ErrorCode::unsupported,
                    "PDF files are documents, whose pages 'document' shows, not images");
  if (is_svg(bytes)) {
    throw ItemError(
        ErrorCode::unsupported,
        "SVG images are drawings without pixels, and not supported: draw it first, for instance with "
        "`rsvg-convert -o drawing.png drawing.svg`");
  }
  for (const Signature& other : kRefused) {
    if (bytes.matches(other.at, other.magic)) {
      throw ItemError(ErrorCode::unsupported,
                      fmt::format("{} images are not supported; {}", other.name, kAllowed));
    }
  }
}

ImageFormat sniff(std::span<const std::byte> encoded) {
  if (encoded.empty()) throw ItemError(ErrorCode::image_unreadable, "the image is empty (0 bytes)");
  const ImageBytes bytes(encoded, "");
  if (bytes.matches(0, "\x89PNG\r\n\x1A\n")) return ImageFormat::png;
  if (bytes.matches(0, "\xFF\xD8\xFF")) return ImageFormat::jpeg;
  if (bytes.matches(0, "RIFF") && bytes.matches(8, "WEBP")) return ImageFormat::webp;
  if (bytes.matches(0, {"II\x2A\0", 4}) || bytes.matches(0, {"MM\0\x2A", 4})) return ImageFormat::tiff;
  if (bytes.matches(0, "BM")) return ImageFormat::bmp;
  if (bytes.matches(0, "GIF87a") || bytes.matches(0, "GIF89a")) return ImageFormat::gif;
  if (bytes.matches(0, "\xFF\x0A") || bytes.matches(4, "JXL \r\n\x87\n")) return ImageFormat::jxl;
  if (bytes.matches(0, "\xFF\x4F\xFF\x51") || bytes.matches(4, "jP  \r\n\x87\n"))
    return ImageFormat::jpeg2000;
  if (const auto format = format_of_brands(bytes)) return *format;
  refuse_by_name(bytes);
  if (is_lfs_pointer(
          {reinterpret_cast<const char*>(encoded.data()), std::min(encoded.size(), kLfsPointerBytes)}))
    throw ItemError(ErrorCode::image_unreadable, kLfsPointerFault);
  std::string first;
  for (std::size_t i = 0; i < std::min<std::size_t>(encoded.size(), 8); ++i) {
    first += fmt::format("{}{:02x}", i == 0 ? "" : " ", std::to_integer<unsigned>(encoded[i]));
  }
  throw ItemError(ErrorCode::image_unreadable,
                  fmt::format("no known image format (first bytes: {}); {}", first, kAllowed));
}

}  // namespace

std::string_view to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::gif:
      return "GIF";
    case ImageFormat::heic:
      return "HEIC";
    case ImageFormat::avif:
      return "AVIF";
    case ImageFormat::jxl:
      return "JPEG XL";
    case ImageFormat::jpeg2000:
      return "JPEG 2000";
    case ImageFormat::pdf:
      return "PDF";
    case ImageFormat::video:
      return "video";
  }
  return "";
}

bool needs_helper(ImageFormat format) {
  switch (format) {
    case ImageFormat::png:
    case ImageFormat::jpeg:
    case ImageFormat::webp:
    case ImageFormat::bmp:
    case ImageFormat::tiff:
      return false;
    default:
      return true;
  }
}

ImageHeader read_image_header(std::span<const std::byte> encoded) {
  const ImageFormat format = sniff(encoded);
  const ImageBytes bytes(encoded, to_string(format));
  ImageHeader header;
  switch (format) {
    case ImageFormat::png:
      header = image_formats::read_png(bytes);
      break;
    case ImageFormat::jpeg:
      header = image_formats::read_jpeg(bytes);
      break;
    case ImageFormat::webp:
      header = image_formats::read_webp(bytes);
      break;
    case ImageFormat::bmp:
      header = image_formats::read_bmp(bytes);
      break;
    case ImageFormat::tiff:
      header = image_formats::read_tiff(bytes);
      break;
    case ImageFormat::gif:
      header = image_formats::read_gif(bytes);
      break;
    case ImageFormat::heic:
    case ImageFormat::avif:
      header = image_formats::read_heif(bytes);
      break;
    case ImageFormat::jxl:
      header = image_formats::read_jxl(bytes);
      break;
    case ImageFormat::jpeg2000:
      header = image_formats::read_jpeg2000(bytes);
      break;
    case ImageFormat::pdf:
    case ImageFormat::video:
      bytes.unsupported("a file of several pictures");
  }
  if (header.width < 1 || header.height < 1) {
    bytes.damaged(fmt::format("its size is {} x {}", header.width, header.height));
  }
  return header;
}

void check_image_complete(std::span<const std::byte> encoded, const ImageHeader& header) {
  const ImageBytes bytes(encoded, to_string(header.format));
  switch (header.format) {
    case ImageFormat::png:
      return image_formats::check_png(bytes);
    case ImageFormat::jpeg:
      return image_formats::check_jpeg(bytes);
    case ImageFormat::webp:
      return image_formats::check_webp(bytes);
    case ImageFormat::bmp:
      return image_formats::check_bmp(bytes);
    case ImageFormat::tiff:
      return image_formats::check_tiff(bytes);
    default:
      return;  // their libraries do not fill in
  }
}

void check_image_work(std::span<const std::byte> encoded, const ImageHeader& header) {
  const ImageBytes bytes(encoded, to_string(header.format));
  if (header.format == ImageFormat::jpeg) image_formats::check_jpeg_work(bytes, header);
  if (header.format == ImageFormat::tiff) image_formats::check_tiff_work(bytes, header);
}

}  // namespace mmbatch
