#include "vision/image/image_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "vision/image/codec_library.h"
#include "vision/image/image_bytes.h"
#include "vision/image/image_formats.h"
#include "vision/image/image_header.h"
#include "vision/image/image_quiet.h"

namespace mmbatch {
namespace {

void check_limits(const ImageHeader& header, const ImageLimits& limits) {
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

/// The bytes as the decoding library wants them.
std::vector<std::uint8_t> decoder_input(std::span<const std::byte> encoded, ImageFormat format) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(encoded.data());
  std::vector<std::uint8_t> input(first, first + encoded.size());
  if (format == ImageFormat::tiff) {
    // libtiff multiplies colours by an unassociated alpha (value 2); by one of unspecified meaning (0) not.
    const std::size_t at = image_formats::tiff_extra_samples_at({encoded, to_string(format)});
    if (at != 0 && at + 2 <= input.size()) input[at] = input[at + 1] = 0;
  }
  return input;
}

/// The first line of what a codec printed, without its end.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// libjpeg goes on after damage and leaves the rest grey or torn. Its other warnings (bytes too many between
/// segments, unknown versions) leave a whole picture.
bool tells_of_lost_pixels(const std::string& messages) {
  constexpr std::array kLost = {"premature end", "Premature end", "bad Huffman code", "instead of RST"};
  return std::any_of(kLost.begin(), kLost.end(),
                     [&](const char* text) { return messages.find(text) != std::string::npos; });
}

/// The pixels as stored, but for TIFF upright, since the library turns that format whatever the flags.
Image decode_pixels(std::span<const std::byte> encoded, const ImageHeader& header) {
  const ImageBytes bytes(encoded, to_string(header.format));
  const std::vector<std::uint8_t> input = decoder_input(encoded, header.format);
  const bool turns = header.format == ImageFormat::tiff && header.orientation >= 5;
  Image image(static_cast<int>(turns ? header.height : header.width),
              static_cast<int>(turns ? header.width : header.height));
  CodecResult result;
  const CapturedErrors messages;
  image_codec().decode(input, image, result);
  using Outcome = CodecResult::Outcome;
  if (result.outcome == Outcome::damaged) {
    const std::string& words = result.problem.empty() ? messages.text() : result.problem;
    bytes.damaged(words.empty() ? "it cannot be decoded" : first_line(words));
  }
  if (header.format == ImageFormat::jpeg && tells_of_lost_pixels(messages.text())) {
    bytes.damaged(first_line(messages.text()));
  }
  if (result.outcome == Outcome::other_size) {
    bytes.damaged(fmt::format("its header says {} x {} pixels, it holds {} x {}", image.width, image.height,
                              result.width, result.height));
  }
  if (result.outcome == Outcome::unsupported_samples) {
    bytes.unsupported("a picture of signed or float samples");
  }
  return image;
}

}  // namespace

Image decode_image(std::span<const std::byte> encoded, const ImageLimits& limits) {
  if (encoded.size() > limits.max_bytes) {
    throw ItemError(ErrorCode::image_too_large, fmt::format("the image has {} bytes; at most {} are allowed",
                                                            encoded.size(), limits.max_bytes));
  }
  const ImageHeader header = read_image_header(encoded);
  check_limits(header, limits);
  check_image_complete(encoded, header);
  Image image = decode_pixels(encoded, header);
  if (header.format == ImageFormat::tiff) return image;
  return oriented(std::move(image), header.orientation);
}

void load_image_decoder() {
  image_codec();
}

}  // namespace mmbatch
