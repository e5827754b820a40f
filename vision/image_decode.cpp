#include "vision/image_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "vision/image_bytes.h"
#include "vision/image_formats.h"
#include "vision/image_header.h"
#include "vision/image_quiet.h"

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

/// The bytes as OpenCV wants them.
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

void swap_red_and_blue(Image& image) {
  std::uint8_t* pixel = image.rgb.data();
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) std::swap(pixel[i], pixel[i + 2]);
}

/// From OpenCV's 8- or 16-bit BGR.
void take_pixels(const cv::Mat& decoded, Image& image) {
  if (decoded.depth() == CV_8U) {
    if (decoded.data == image.rgb.data()) return swap_red_and_blue(image);
    for (int y = 0; y < image.height; ++y) std::memcpy(image.row(y), decoded.ptr(y), image.row_bytes());
    return swap_red_and_blue(image);
  }
  for (int y = 0; y < image.height; ++y) {
    const auto* from = decoded.ptr<std::uint16_t>(y);
    std::uint8_t* to = image.row(y);
    for (int x = 0; x < image.width * 3; x += 3) {
      to[x] = static_cast<std::uint8_t>(from[x + 2] >> 8);
      to[x + 1] = static_cast<std::uint8_t>(from[x + 1] >> 8);
      to[x + 2] = static_cast<std::uint8_t>(from[x] >> 8);
    }
  }
}

/// The pixels as stored, but for TIFF upright, since OpenCV turns that format whatever the flags.
Image decode_pixels(std::span<const std::byte> encoded, const ImageHeader& header) {
  const ImageBytes bytes(encoded, to_string(header.format));
  const std::vector<std::uint8_t> input = decoder_input(encoded, header.format);
  const bool turns = header.format == ImageFormat::tiff && header.orientation >= 5;
  Image image(static_cast<int>(turns ? header.height : header.width),
              static_cast<int>(turns ? header.width : header.height));
  // 8-bit pictures are decoded in place; OpenCV takes other memory where they do not fit.
  cv::Mat decoded(image.height, image.width, CV_8UC3, image.rgb.data());
  const CapturedErrors messages;
  try {
    constexpr int kFlags = cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION;
    if (cv::imdecode(input, kFlags, &decoded).empty()) {
      bytes.damaged(messages.text().empty() ? "it cannot be decoded" : first_line(messages.text()));
    }
  } catch (const cv::Exception& e) {
    bytes.damaged(e.err.empty() ? "it cannot be decoded" : first_line(e.err));
  }
  if (header.format == ImageFormat::jpeg && tells_of_lost_pixels(messages.text())) {
    bytes.damaged(first_line(messages.text()));
  }
  if (decoded.cols != image.width || decoded.rows != image.height) {
    bytes.damaged(fmt::format("its header says {} x {} pixels, it holds {} x {}", image.width, image.height,
                              decoded.cols, decoded.rows));
  }
  if (decoded.channels() != 3 || (decoded.depth() != CV_8U && decoded.depth() != CV_16U)) {
    bytes.unsupported("a picture of signed or float samples");
  }
  take_pixels(decoded, image);
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
  [[maybe_unused]] static const auto previous_level =
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  Image image = decode_pixels(encoded, header);
  if (header.format == ImageFormat::tiff) return image;
  return oriented(std::move(image), header.orientation);
}

}  // namespace mmbatch
