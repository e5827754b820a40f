#include "vision/image/thumbnail.h"

#include <algorithm>
#include <cstdint>

#include "vision/image/codec_library.h"
#include "vision/preprocess/resize.h"

namespace mmbatch {

std::string thumbnail(const Image& image, int side) {
  const int longer = std::max(image.width, image.height);
  std::string bytes;
  if (longer <= side) {
    thumbnail_codec()(image, bytes);
  } else {
    const auto scaled = [&](int length) {
      return std::max<std::int64_t>(1, (std::int64_t{length} * side + longer / 2) / longer);
    };
    thumbnail_codec()(resize(image, {scaled(image.width), scaled(image.height)},
                             {Resample::box, ResizeBackend::pillow_12}),
                      bytes);
  }
  return bytes;
}

}  // namespace mmbatch
