#include "vision/document/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/base/error.h"
#include "vision/image/codec/image_codec.h"
#include "vision/image/formats/image_bytes.h"
#include "vision/image/helper/image_helper.h"

namespace mmbatch {
namespace {

bool is_pdf(std::span<const std::byte> encoded) {
  constexpr std::size_t kBeginsWithin = 1024;  // some have mail headers or the like before them
  const std::string_view begin(reinterpret_cast<const char*>(encoded.data()),
                               std::min(encoded.size(), kBeginsWithin));
  return begin.find("%PDF-") != std::string_view::npos;
}

ImageFormat format_of(std::span<const std::byte> encoded) {
  if (encoded.empty()) throw ItemError(ErrorCode::image_unreadable, "the document is empty (0 bytes)");
  return is_pdf(encoded) ? ImageFormat::pdf : read_image_header(encoded).format;
}

/// Whether its pages are counted by a helper; files of other formats have one.
bool has_pages(ImageFormat format) {
  return format == ImageFormat::pdf || format == ImageFormat::tiff || format == ImageFormat::gif ||
         format == ImageFormat::webp;
}

struct Ask {
  ImageFormat format;
  DocumentRequest::Wanted wanted;
  ImagePart part = {};
  std::int64_t pixels = 0;  // what there is to be of the answer
};

HelperAnswer ask(std::span<const std::byte> encoded, const Ask& ask, const ImageLimits& limits) {
  const bool video = ask.format == ImageFormat::video;
  if (encoded.empty())
    throw ItemError(ErrorCode::image_unreadable,
                    fmt::format("the {} is empty (0 bytes)", video ? "video" : "document"));
  if (encoded.size() > limits.max_bytes) {
    throw ItemError(
        ErrorCode::image_too_large,
        fmt::format("the document has {} bytes; at most {} are allowed", encoded.size(), limits.max_bytes));
  }
  const auto pixels = static_cast<std::uint64_t>(ask.pixels);
  return call_helper({.kind = video ? helper::Kind::videos : helper::Kind::documents,
                      .request = {.format = static_cast<std::int32_t>(ask.format),
                                  .truncated = static_cast<std::int32_t>(limits.truncated),
                                  .wanted = static_cast<std::int32_t>(ask.wanted),
                                  .part = ask.part},
                      .encoded = encoded,
                      .capacity = 3 * pixels,
                      .memory = (std::uint64_t{1} << 30) + 3 * encoded.size() + 64 * pixels,
                      .time = limits.helper_time});
}

/// The part's format; of a picture alone, only its first page is there.
ImageFormat format_of(std::span<const std::byte> encoded, const ImagePart& part) {
  if (part.seconds >= 0) return ImageFormat::video;
  const ImageFormat format = format_of(encoded);
  if (!has_pages(format) && part.page > 1) {
    throw ItemError(ErrorCode::image_unreadable, fmt::format("there is no page {}: a {} file has one picture",
                                                             part.page, to_string(format)));
  }
  return format;
}

}  // namespace

bool comes_in_parts(ImageFormat format) {
  return format == ImageFormat::video || has_pages(format);
}

DocumentInfo read_document_info(std::span<const std::byte> encoded, DocumentKind kind,
                                const ImageLimits& limits) {
  const ImageFormat format = kind == DocumentKind::video ? ImageFormat::video : format_of(encoded);
  if (kind == DocumentKind::pages && !has_pages(format)) return {};
  const HelperAnswer answer = ask(encoded, {format, DocumentRequest::Wanted::count}, limits);
  return {answer.reply.pages, answer.reply.seconds};
}

ImageHeader read_part_header(std::span<const std::byte> encoded, const ImagePart& part,
                             const ImageLimits& limits) {
  if (part.empty()) return read_image_header(encoded);
  const ImageFormat format = format_of(encoded, part);
  if (!comes_in_parts(format)) return read_image_header(encoded);
  const HelperAnswer answer = ask(encoded, {format, DocumentRequest::Wanted::size, part}, limits);
  const ImageHeader header{format, answer.reply.width, answer.reply.height, 1};
  if (header.width < 1 || header.height < 1)
    ImageBytes(encoded, to_string(format))
        .damaged(fmt::format("its size is {} x {}", header.width, header.height));
  check_image_limits(header, limits);
  return header;
}

Image decode_part(std::span<const std::byte> encoded, const ImagePart& part, const ImageHeader& header,
                  const ImageLimits& limits) {
  if (part.empty() || !comes_in_parts(header.format)) return decode_image(encoded, limits);
  const std::int64_t pixels = header.width * header.height;
  HelperAnswer answer = ask(encoded, {header.format, DocumentRequest::Wanted::pixels, part, pixels}, limits);
  Image image;
  image.width = answer.reply.width;
  image.height = answer.reply.height;
  image.rgb = std::move(answer.rgb);
  return image;
}

}  // namespace mmbatch
