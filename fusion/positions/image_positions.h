#pragma once

#include <span>

#include "engine/decoder/prompt.h"
#include "vision/preprocess/patches.h"

namespace mmbatch {

/// Where an image, or a group of a video's frames, stands in a prompt.
struct GridPlace {
  PatchGrid grid;
  std::size_t time = 0;  // behind the first frames of its video
  /// What goes on behind it: the text, or the next frames of the same video, in the same rows and columns.
  enum class Next { text, frames };
  Next next = Next::text;
};

/// Gives a prompt positions of three axes (arXiv 2409.12191): text goes on by one in all of them; the rows of
/// an image stand at the time of the token before them, each in its row and column of the image, and text
/// goes on behind the longer side, as it does behind a video, however long that is. The answer goes on behind
/// the last position of all. Nothing is changed where there are no images.
/// @param places of the rows of each of prompt.features
void set_image_positions(Prompt& prompt, std::span<const GridPlace> places);

}  // namespace mmbatch
