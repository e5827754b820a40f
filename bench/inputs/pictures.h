#pragma once

#include <cstddef>
#include <vector>

#include "vision/image/image.h"

namespace mmbatch::bench {

/// A picture with smooth and busy places, so that it is stored and resized like a photo; another one for
/// every number.
Image picture(int width, int height, int number = 0);

/// The picture as a JPEG file.
std::vector<std::byte> jpeg(const Image& image);

}  // namespace mmbatch::bench
