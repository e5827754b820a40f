#pragma once

#include <string>

#include "vision/image/image.h"

namespace mmbatch {

/// The image as a small JPEG that fits into `side` × `side` pixels; a smaller image keeps its size.
/// Thread-safe.
/// @return the file's bytes; empty when it cannot be encoded  @throws ModelError as load_image_decoder()
std::string thumbnail(const Image& image, int side);

}  // namespace mmbatch
