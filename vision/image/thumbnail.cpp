#include "vision/image/thumbnail.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vision/image/codec_library.h"
#include "vision/preprocess/resize.h"

namespace mmbatch {

std::string thumbnail(const Image& image, int side) {
  const int longer = std::max(image.width, image.height);
  std::vector<std::uint8_t> bytes;
  if (longer <= side) {
    image_codec().encode_jpeg(image, bytes);
  } else {
    const auto scaled = [&](int length) {
      return std::max<std::int64_t>(1, (std::int64_t{length} * side + longer / 2) / longer);
    };
    image_codec().encode_jpeg(resize(image, {scaled(image.width), scaled(image.height)}, Resample::box),
                              bytes);
  }
  return {bytes.begin(), bytes.end()};
}

}  // namespace mmbatch
