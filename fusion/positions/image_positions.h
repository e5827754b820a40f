#pragma once

#include <span>

#include "engine/decoder/prompt.h"
#include "vision/preprocess/patches.h"

namespace mmbatch {

/// Gives a prompt positions of three axes (arXiv 2409.12191): text goes on by one in all of them; the rows of
/// an image stand at the time of the token before them, each in its row and column of the image, and text
/// goes on behind the longer side. Nothing is changed where there are no images.
/// @param grids of the rows of each of prompt.features
void set_image_positions(Prompt& prompt, std::span<const PatchGrid> grids);

}  // namespace mmbatch
