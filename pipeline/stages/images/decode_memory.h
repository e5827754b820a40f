#pragma once

#include <cstddef>
#include <span>

#include "vision/image/image_header.h"

namespace mmbatch {

/// Bytes that decode_image() takes at most beside `encoded`: the RGB picture, what the format's library holds
/// at the same time (the coefficients of a progressive JPEG, samples of 16 bits), and the copy that turns it
/// upright. An upper bound where that depends on more than the header.
std::size_t decode_memory(std::span<const std::byte> encoded, const ImageHeader& header);

/// Bytes of the square that a picture is padded to, beside the picture; of one that is refused, none.
std::size_t padding_memory(const ImageHeader& header);

}  // namespace mmbatch
