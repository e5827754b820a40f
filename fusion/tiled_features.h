#pragma once

#include <span>

#include "engine/base/matrix.h"
#include "vision/preprocess/tiles.h"

namespace mmbatch {

/// What an image seen in tiles becomes: the features of tile 0, then those of the grid as one map, cut to the
/// picture's own aspect (the padding's features fall away), with `newline` at the end of each row.
/// @param features [tiles · side², hidden], tile by tile   @param newline [hidden]
/// @param side features across one tile
/// After unpad_image and pack_image_features of Hugging Face transformers 4.46.
Matrix<float> join_tiles(MatrixView<const float> features, std::size_t side, const TileGrid& grid, int width,
                         int height, std::span<const float> newline);

}  // namespace mmbatch
