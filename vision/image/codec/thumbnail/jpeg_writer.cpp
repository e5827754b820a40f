#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "vision/image/codec/image_codec.h"

extern "C" __attribute__((visibility("default"))) void mmbatch_encode_jpeg_2(const mmbatch::Image& image,
                                                                             std::string& bytes) {
  bytes.clear();
  try {
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    mmbatch::Image reversed = image;  // OpenCV wants blue first
    for (std::size_t i = 0; i < reversed.rgb.size(); i += 3) std::swap(reversed.rgb[i], reversed.rgb[i + 2]);
    const cv::Mat pixels(reversed.height, reversed.width, CV_8UC3, reversed.rgb.data());
    constexpr int kQuality = 80;
    std::vector<unsigned char> jpeg;
    if (cv::imencode(".jpg", pixels, jpeg, {cv::IMWRITE_JPEG_QUALITY, kQuality})) {
      bytes.assign(jpeg.begin(), jpeg.end());
    }
  } catch (const std::exception&) {
    bytes.clear();
  }
}

static_assert(std::is_same_v<decltype(mmbatch_encode_jpeg_2), mmbatch::EncodeJpeg>);
