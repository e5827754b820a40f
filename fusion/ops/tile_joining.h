#pragma once

#include <cstddef>
#include <span>

#include "engine/base/matrix.h"
#include "fusion/projector.h"

namespace mmbatch {

/// How many rows join_tiles() makes of an image in tiles.
std::size_t joined_rows(const FeatureMap& image);

/// What an image seen in tiles becomes: the features of tile 0, then those of the grid as one map, cut to the
/// picture's own aspect (the padding's features fall away), with `newline` at the end of each row.
/// @param features [tiles · grid.count(), width], tile by tile   @param newline [width]
/// @param out [joined_rows(), width]
/// After unpad_image and pack_image_features of Hugging Face transformers 4.46.
void join_tiles(MatrixView<const float> features, const FeatureMap& image, std::span<const float> newline,
                MatrixView<float> out);

}  // namespace mmbatch
