#pragma once

#include <cstddef>
#include <span>

#include "fusion/image_preparation.h"
#include "vision/document/document.h"
#include "vision/image/image_header.h"

namespace mmbatch {

/// Bytes that decode_part() takes at most beside `encoded`: the RGB picture, what the format's library holds
/// at the same time (the coefficients of a progressive JPEG, samples of 16 bits), in a helper process too,
/// the memory shared with it, and the copy that turns the picture upright. An upper bound where that depends
/// on more than the header.
std::size_t decode_memory(std::span<const std::byte> encoded, const ImagePart& part,
                          const ImageHeader& header);

/// Bytes of the square that a picture is padded to, beside the picture; of one that is refused, none.
std::size_t padding_memory(const ImageHeader& header);

/// @param picture as it is decoded, in pixels.  @param available bytes, for all that a process does
/// @throws ItemError image_too_large where a picture, or a group of frames, cannot become rows within them
void check_preparation(const PreparationMemory& memory, const PictureSides& picture, std::size_t available);

}  // namespace mmbatch
