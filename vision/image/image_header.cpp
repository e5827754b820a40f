#include "vision/image/image_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "vision/image/image_bytes.h"
#include "vision/image/image_formats.h"

namespace mmbatch {
namespace {

constexpr std::string_view kAllowed = "PNG, JPEG, WebP, BMP and TIFF are read";

struct Signature {
  std::size_t at;
  std::string_view magic;
  std::string_view name;
};

/// Formats that people do have as pictures and that are refused by their name.
constexpr Signature kRefused[] = {
    {0, "GIF8", "GIF"},
    {4, "ftypheic", "HEIC"},
    {4, "ftypheix", "HEIC"},
    {4, "ftypmif1", "HEIF"},
    {4, "ftypavif", "AVIF"},
    {4, "jP  \r\n\x87\n", "JPEG 2000"},
    {0, "\xFF\x4F\xFF\x51", "JPEG 2000"},
    {0, "\xFF\x0A", "JPEG XL"},
    {4, "JXL \r\n\x87\n", "JPEG XL"},
    {0, "8BPS", "Photoshop"},
    {0, "%PDF", "PDF"},
    {0, "\x76\x2F\x31\x01", "OpenEXR"},
    {0, "<svg", "SVG"},
    {0, "<?xml", "XML or SVG"},
    {0, {"II\x2B\0", 4}, "BigTIFF"},
    {0, {"MM\0\x2B", 4}, "BigTIFF"},
};

ImageFormat sniff(std::span<const std::byte> encoded) {
  if (encoded.empty()) throw ItemError(ErrorCode::image_unreadable, "the image is empty (0 bytes)");
  const ImageBytes bytes(encoded, "");
  if (bytes.matches(0, "\x89PNG\r\n\x1A\n")) return ImageFormat::png;
  if (bytes.matches(0, "\xFF\xD8\xFF")) return ImageFormat::jpeg;
  if (bytes.matches(0, "RIFF") && bytes.matches(8, "WEBP")) return ImageFormat::webp;
  if (bytes.matches(0, {"II\x2A\0", 4}) || bytes.matches(0, {"MM\0\x2A", 4})) return ImageFormat::tiff;
  if (bytes.matches(0, "BM")) return ImageFormat::bmp;
  for (const Signature& other : kRefused) {
    if (bytes.matches(other.at, other.magic)) {
      throw ItemError(ErrorCode::unsupported,
                      fmt::format("{} images are not supported; {}", other.name, kAllowed));
    }
  }
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
  }
  return "";
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
  }
}

}  // namespace mmbatch
