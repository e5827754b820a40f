#pragma once

#include <cstddef>
#include <vector>

namespace mmbatch {

/// How a row or column of learned positions is laid over the patches of an image.
enum class PositionSampling {
  corners,   // the first on the first and the last on the last; between them linear
  centres,   // edge on edge; a patch gets what lies at its centre between the nearest two
  smoothed,  // the same, with all that it covers where there are more positions than patches
  cubic,     // as smoothed, with the cubic filter of Keys (a = -0.5) in place of the triangle
};

/// The positions along one side that a patch gets its own from.
struct PositionTaps {
  std::size_t first = 0;
  std::vector<float> weights;  // of the positions from `first` on
};

/// Of each of `count` patches along a side for which `side` positions are stored. `smoothed` is bilinear
/// resizing with antialias in torch: the triangle filter, made wider when there are fewer patches; `cubic` is
/// bicubic resizing there.
std::vector<PositionTaps> position_taps(PositionSampling sampling, std::size_t count, std::size_t side);

}  // namespace mmbatch
