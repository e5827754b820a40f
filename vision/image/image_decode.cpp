#include "vision/image/image_decode.h"

#include <fmt/format.h>

#include <string>

#include "engine/base/error.h"
#include "vision/image/codec_library.h"
#include "vision/image/formats/formats.h"
#include "vision/image/helper/image_helper.h"

namespace mmbatch {

void check_image_limits(const ImageHeader& header, const ImageLimits& limits) {
  const auto refuse = [&](std::string_view allowed) {
    throw ItemError(ErrorCode::image_too_large,
                    fmt::format("the {} image has {} x {} pixels; {}", to_string(header.format), header.width,
                                header.height, allowed));
  };
  if (header.width > limits.max_side || header.height > limits.max_side) {
    refuse(fmt::format("at most {} a side are allowed", limits.max_side));
  }
  if (header.width > limits.max_pixels / header.height) {
    refuse(fmt::format("at most {} in all are allowed", limits.max_pixels));
  }
}

namespace {

/// The pixels as stored.
Image decode_here(std::span<const std::byte> encoded, const ImageHeader& header, TruncatedImages truncated) {
  const ImageBytes bytes(encoded, to_string(header.format));
  if (header.format == ImageFormat::bmp) return image_formats::decode_bmp(bytes, truncated);
  Image image(static_cast<int>(header.width), static_cast<int>(header.height));
  CodecResult result;
  image_codec()({encoded, header.format, truncated}, image, result);
  if (result.outcome == CodecResult::Outcome::damaged) bytes.damaged(result.problem);
  if (result.outcome == CodecResult::Outcome::unsupported) bytes.unsupported(result.problem);
  return image;
}

}  // namespace

Image decode_image(std::span<const std::byte> encoded, const ImageLimits& limits) {
  if (encoded.size() > limits.max_bytes) {
    throw ItemError(ErrorCode::image_too_large, fmt::format("the image has {} bytes; at most {} are allowed",
                                                            encoded.size(), limits.max_bytes));
  }
  const ImageHeader header = read_image_header(encoded);
  check_image_limits(header, limits);
  check_image_work(encoded, header);
  if (limits.truncated == TruncatedImages::fail) check_image_complete(encoded, header);
  if (needs_helper(header.format)) return decode_in_helper(encoded, header, limits);
  return oriented(decode_here(encoded, header, limits.truncated), header.orientation);
}

void load_image_decoder() {
  image_codec();
}

}  // namespace mmbatch
