#pragma once

#include <span>

#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

/// Compares what a tower of images of any size is given, and what it makes on its way: patches, patch_embed,
/// vision_block0_in, vision_block0; of a tower whose patches lie pixel by pixel patch_projected,
/// vision_embeddings, vision_layer0, vision_last_layer. Nothing where the reference has none of them.
void check_tower(const Subject& subject, const ReferenceCase& reference_case,
                 std::span<const PixelValues* const> images, Report& report);

/// vision_features of such a tower, as references hold them: behind what the projector does before its norm.
Matrix<float> pooled(const Subject& subject, std::span<const PixelValues* const> images,
                     MatrixView<const float> features);

/// vision_features as references hold them: with windows, window by window.
Matrix<float> as_stored(const VisionConfig& config, std::span<const PixelValues* const> images,
                        MatrixView<const float> features);

}  // namespace mmbatch::parity
