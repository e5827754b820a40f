#pragma once

#include <span>

#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

/// Compares what a tower of images of any size is given, and what it makes on its way: patches, patch_embed,
/// vision_block0_in, vision_block0. Nothing where the reference has none of them.
void check_tower(const Subject& subject, const ReferenceCase& reference_case,
                 std::span<const PixelValues* const> images, Report& report);

/// vision_features as references hold them: with windows, window by window.
Matrix<float> as_stored(const VisionConfig& config, std::span<const PixelValues* const> images,
                        MatrixView<const float> features);

}  // namespace mmbatch::parity
