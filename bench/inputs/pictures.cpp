#include "bench/inputs/pictures.h"

#include <cmath>
#include <cstdint>
#include <opencv2/imgcodecs.hpp>

namespace mmbatch::bench {

Image picture(int width, int height, int number) {
  Image image(width, height);
  const double phase = 0.7 * number;
  for (int y = 0; y < height; ++y) {
    std::uint8_t* row = image.row(y);
    for (int x = 0; x < width; ++x) {
      const double wide = 60 * std::sin(phase + 9.0 * x / width) + 50 * std::cos(phase + 7.0 * y / height);
      const auto grain =
          static_cast<int>((static_cast<unsigned>(x * 7919 + y * 104729 + number) * 2654435761u) >> 27);
      for (int c = 0; c < 3; ++c)
        row[x * 3 + c] = static_cast<std::uint8_t>(110 + wide * (c + 1) / 3 + (x > y ? grain : 0));
    }
  }
  return image;
}

std::vector<std::byte> jpeg(const Image& image) {
  const cv::Mat pixels(image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.rgb.data()));
  std::vector<unsigned char> file;
  cv::imencode(".jpg", pixels, file, {cv::IMWRITE_JPEG_QUALITY, 90});
  const auto* bytes = reinterpret_cast<const std::byte*>(file.data());
  return {bytes, bytes + file.size()};
}

}  // namespace mmbatch::bench
