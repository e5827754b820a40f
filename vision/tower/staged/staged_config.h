#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/nn/feed_forward.h"
#include "engine/nn/grid/convolution.h"
#include "vision/preprocess/patches.h"

namespace mmbatch {

/// Where the norm of a stage's convolution stands.
enum class StageNorm { before_convolution, after_convolution };

struct StageConfig {
  ConvolutionConfig convolution;
  StageNorm norm = StageNorm::before_convolution;
  std::size_t depth = 1;   // pairs of blocks
  std::size_t heads = 1;   // of attention in windows
  std::size_t groups = 1;  // of attention between channels
  std::size_t ffn = 0;

  /// Whether so many slices divide all layers of its blocks, or some.
  bool all_divided(std::size_t slices) const {
    return heads % slices == 0 && groups % slices == 0 && ffn % slices == 0;
  }
  bool some_divided(std::size_t slices) const {
    return heads % slices == 0 || groups % slices == 0 || ffn % slices == 0;
  }
};

/// A vision tower in stages as data: see staged_tower.h.
struct StagedTowerConfig {
  std::vector<StageConfig> stages;
  std::size_t window = 12;  // side, in places
  Bias qkv_bias = Bias::present;
  Activation activation = Activation::gelu;
  NormConfig norm = {NormKind::layer, 1e-5f, 0.0f};

  bool all_divided(std::size_t slices) const {
    return std::all_of(stages.begin(), stages.end(),
                       [&](const StageConfig& stage) { return stage.all_divided(slices); });
  }
  bool some_divided(std::size_t slices) const {
    return std::any_of(stages.begin(), stages.end(),
                       [&](const StageConfig& stage) { return stage.some_divided(slices); });
  }
  /// The places of a picture of this side, in pixels, behind the last stage.
  PatchGrid grid(std::size_t image_size) const {
    GridSize size{image_size, image_size};
    for (const StageConfig& stage : stages) size = stage.convolution.output(size);
    return {size.rows, size.columns};
  }
};

}  // namespace mmbatch
