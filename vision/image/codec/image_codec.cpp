#include "vision/image/codec/image_codec.h"

#include <cstring>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <utility>

namespace mmbatch {
namespace {

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

CodecResult decode(const std::vector<std::uint8_t>& encoded, Image& image) {
  using Outcome = CodecResult::Outcome;
  // 8-bit pictures are decoded in place; OpenCV takes other memory where they do not fit.
  cv::Mat decoded(image.height, image.width, CV_8UC3, image.rgb.data());
  constexpr int kFlags = cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION;
  if (cv::imdecode(encoded, kFlags, &decoded).empty()) return {Outcome::damaged, "", 0, 0};
  if (decoded.cols != image.width || decoded.rows != image.height) {
    return {Outcome::other_size, "", decoded.cols, decoded.rows};
  }
  if (decoded.channels() != 3 || (decoded.depth() != CV_8U && decoded.depth() != CV_16U)) {
    return {Outcome::unsupported_samples, "", decoded.cols, decoded.rows};
  }
  take_pixels(decoded, image);
  return {Outcome::decoded, "", image.width, image.height};
}

}  // namespace
}  // namespace mmbatch

extern "C" __attribute__((visibility("default"))) void mmbatch_decode_pixels_1(
    const std::vector<std::uint8_t>& encoded, mmbatch::Image& image, mmbatch::CodecResult& result) {
  [[maybe_unused]] static const auto previous_level =
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  try {
    result = mmbatch::decode(encoded, image);
  } catch (const cv::Exception& e) {
    result = {mmbatch::CodecResult::Outcome::damaged, e.err, 0, 0};
  } catch (const std::exception& e) {
    result = {mmbatch::CodecResult::Outcome::damaged, e.what(), 0, 0};
  }
}

extern "C" __attribute__((visibility("default"))) void mmbatch_encode_jpeg_1(
    const mmbatch::Image& image, std::vector<std::uint8_t>& bytes) {
  bytes.clear();
  try {
    mmbatch::Image reversed = image;
    mmbatch::swap_red_and_blue(reversed);
    const cv::Mat pixels(reversed.height, reversed.width, CV_8UC3, reversed.rgb.data());
    constexpr int kQuality = 80;
    if (!cv::imencode(".jpg", pixels, bytes, {cv::IMWRITE_JPEG_QUALITY, kQuality})) bytes.clear();
  } catch (const std::exception&) {
    bytes.clear();
  }
}

static_assert(std::is_same_v<decltype(mmbatch_encode_jpeg_1), mmbatch::EncodeJpeg>);
static_assert(std::is_same_v<decltype(mmbatch_decode_pixels_1), mmbatch::DecodePixels>);
