#pragma once

#include <span>

#include "tests/checkers/parity_stages.h"

namespace mmbatch::parity {

/// Whether a tensor of pixel values holds patches one by one, and not pictures.
bool holds_patches(const Subject& subject, const std::string& name, const VisionConfig& config);

/// Compares what a tower without a class token is given, and what it makes on its way: patches (or
/// pixel_values, where those are patches), patch_embed, vision_block0_in (or vision_embeddings) and
/// vision_block0 (or vision_layer0). Nothing where the reference has none of them.
void check_tower(const Subject& subject, const ReferenceCase& reference_case,
                 std::span<const PixelValues* const> images, Report& report);

/// vision_features as references hold them: with windows, window by window.
Matrix<float> as_stored(const VisionConfig& config, std::span<const PixelValues* const> images,
                        MatrixView<const float> features);

}  // namespace mmbatch::parity
