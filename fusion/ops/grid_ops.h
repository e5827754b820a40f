#pragma once

#include "engine/base/matrix.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// In which order a row holds what it took together: place by place, each with all its channels, or channel
/// by channel, each with all places.
enum class ShuffleOrder { places, channels };

/// How rows lie after average_pool() or pixel_shuffle() with this side.
FeatureMap map_of_squares(FeatureMap map, std::size_t side);

/// The mean of side · side neighbours of a grid becomes one row.
/// @param rows [map.rows, width], grid by grid, row by row   @param out [map.rows / side², width]
void average_pool(MatrixView<const float> rows, const FeatureMap& map, std::size_t side,
                  MatrixView<float> out);

/// side · side neighbours of a grid become one row, which holds all their numbers: row by row of the square
/// (pixel shuffle, or space to depth).
/// @param rows [map.rows, width], grid by grid, row by row   @param out [map.rows / side², width · side²]
void pixel_shuffle(MatrixView<const float> rows, const FeatureMap& map, std::size_t side, ShuffleOrder order,
                   MatrixView<float> out);

}  // namespace mmbatch
