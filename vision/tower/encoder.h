#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/nn/encoder_stack.h"
#include "vision/preprocess/patches.h"

namespace mmbatch {

/// Which of the encoder's outputs are taken as features: all positions, or all but the class token.
enum class FeatureSelect { all, patches };

/// A vision transformer (arXiv 2010.11929) as data. A family's file fills it from config.json.
struct VisionConfig {
  std::size_t image_size = 336;  // pixels, square
  std::size_t patch_size = 14;
  std::size_t layers = 0;      // of the checkpoint
  std::size_t run_layers = 0;  // those whose output is the feature: not more than `layers`
  LayerConfig layer;
  LayerNames layer_names;  // pattern, below the encoder's prefix
  Bias patch_bias = Bias::absent;
  std::string class_token;  // tensor name, empty: no class token
  std::string norm_before;  // name of the norm before the blocks, empty: none
  std::string norm_after;   // name of the norm after the blocks, empty: none
  FeatureSelect select = FeatureSelect::patches;

  std::size_t hidden() const { return layer.attention.hidden; }
  std::size_t class_rows() const { return class_token.empty() ? 0 : 1; }
  /// The patches of an image of image_size, which is what the position embeddings are stored for.
  PatchGrid grid() const { return {image_size / patch_size, image_size / patch_size}; }
  std::size_t positions() const { return class_rows() + grid().count(); }
  /// Feature rows of an image of these patches.
  std::size_t feature_rows(const PatchGrid& patches) const {
    return patches.count() + (select == FeatureSelect::all ? class_rows() : 0);
  }
  /// … and of one of image_size.
  std::size_t feature_tokens() const { return feature_rows(grid()); }
};

/// A vision transformer with its weights. Const and shared after loading; the caller owns the scratch.
class VisionEncoder {
 public:
  /// @param prefix of the tensor names, such as "vision_tower.vision_model."
  /// @throws ModelError
  VisionEncoder(const Weights& weights, VisionConfig config, const std::string& prefix);

  /// @param images each with its own number of patches
  /// @return [sum of their feature_rows(), hidden]; an image's rows do not depend on the other images
  /// @throws ItemError invalid_value for a grid that there are no position embeddings for
  Matrix<float> encode(std::span<const Patches* const> images, Scratch& scratch) const;

  const VisionConfig& config() const { return config_; }
  std::size_t bytes() const;

 private:
  void embed(const Patches& image, MatrixView<float> x) const;

  VisionConfig config_;
  Linear patch_embedding_;                 // [hidden, 3 · patch²]
  std::vector<float> class_embedding_;     // [hidden]
  std::vector<float> position_embedding_;  // [positions, hidden]
  Norm norm_before_, norm_after_;
  EncoderStack blocks_;
};

}  // namespace mmbatch
