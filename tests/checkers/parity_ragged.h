#pragma once

#include <span>
#include <vector>

#include "tests/checkers/parity_stages.h"
#include "vision/preprocess/patches.h"

// Stages as references hold them where images differ in size, or have rows that nothing here keeps.

namespace mmbatch::parity {

/// Pixel values of images or tiles, [3, height · width] each without what fills no patch, one below the
/// other; those that are smaller than the largest with zeros at the right and below.
Matrix<float> stacked_pixels(std::span<const Patches* const> images);

/// Compares a tower's features with the stage `vision_features`. A class token's rows, one before each
/// image's own, may be there without being features.
/// @param rows of the patches of each image or tile
void check_features(const Subject& subject, const std::string& name, MatrixView<const float> found,
                    std::span<const std::size_t> rows, Report& report);

}  // namespace mmbatch::parity
