#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/nn/encoder_stack.h"

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

  std::size_t grid() const { return image_size / patch_size; }
  std::size_t patches() const { return grid() * grid(); }
  std::size_t positions() const { return patches() + (class_token.empty() ? 0 : 1); }
  std::size_t hidden() const { return layer.attention.hidden; }
  /// Feature rows of one image.
  std::size_t feature_tokens() const { return select == FeatureSelect::all ? positions() : patches(); }
};

/// A vision transformer with its weights. Const and shared after loading; the caller owns the scratch.
class VisionEncoder {
 public:
  /// @param prefix of the tensor names, such as "vision_tower.vision_model."
  /// @throws ModelError
  VisionEncoder(const Weights& weights, VisionConfig config, const std::string& prefix);

  /// @param images pixel values, [3, image_size²] each
  /// @return [images · feature_tokens, hidden]; an image's rows do not depend on the other images
  Matrix<float> encode(std::span<const MatrixView<const float>> images, Scratch& scratch) const;

  const VisionConfig& config() const { return config_; }
  std::size_t bytes() const;

 private:
  void embed(MatrixView<const float> image, MatrixView<float> x) const;

  VisionConfig config_;
  Linear patch_embedding_;                 // [hidden, 3 · patch²]
  std::vector<float> class_embedding_;     // [hidden]
  std::vector<float> position_embedding_;  // [positions, hidden]
  Norm norm_before_, norm_after_;
  EncoderStack blocks_;
};

}  // namespace mmbatch
