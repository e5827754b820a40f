#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/encoder/encoder_stack.h"
#include "vision/preprocess/patches.h"
#include "vision/tower/positions.h"
#include "vision/tower/relative/grid_blocks.h"
#include "vision/tower/staged/staged_config.h"
#include "vision/tower/windows.h"

namespace mmbatch {

/// Which of the encoder's outputs are taken as features: all positions, or all but the class token.
enum class FeatureSelect { all, patches };

/// How the kernel that makes rows of patches is stored.
enum class PatchKernel {
  by_channel,  // [hidden, 3, patch, patch], perhaps with an axis of frames
  by_pixel,    // [hidden, patch · patch · 3], the channels of a pixel side by side; reordered when loaded
  pixels,      // the same, where patches are cut pixel by pixel, too
};

/// What a tower is given.
enum class TowerInput {
  pictures,             // a kernel that spans frames is summed over them
  pictures_and_videos,  // frames that differ, too
};

/// What a tower does to the values of its patches before anything else.
enum class PatchValues {
  as_they_are,
  centred,  // 2 · (x - ½)
};

/// A vision transformer (arXiv 2010.11929), or a tower in stages, as data. A family's file fills it from
/// config.json.
struct VisionConfig {
  std::size_t image_size = 336;  // pixels, square; of no meaning where images keep their own shape
  std::size_t patch_size = 14;
  std::size_t frames = 0;      // that a stored patch kernel spans, all of them the picture; 0: no such axis
  std::size_t layers = 0;      // of the checkpoint
  std::size_t run_layers = 0;  // those whose output is the feature: not more than `layers`
  LayerConfig layer;
  LayerNames layer_names;                                      // pattern, below the encoder's prefix
  std::string patch_embedding = "embeddings.patch_embedding";  // tensor name, without ".weight"
  PatchKernel patch_kernel = PatchKernel::by_channel;
  TowerInput input = TowerInput::pictures;
  Bias patch_bias = Bias::absent;
  PatchValues patch_values = PatchValues::as_they_are;
  std::string norm_of_values = {};   // name of a norm of a patch's values; empty: none
  std::string norm_of_patches = {};  // name of a norm of patches before they get positions; empty: none
  PositionEmbedding positions = FixedPositions{};
  PatchOrder order;
  std::optional<GridRope> rope;            // turns queries and keys by row and column
  std::optional<WindowAttention> windows;  // most layers see windows of the image only
  std::optional<RelativeBlocks> relative;  // layers whose attention knows how far apart patches lie
  std::string class_token;                 // tensor name, empty: no class token
  std::string norm_before;                 // name of the norm before the blocks, empty: none
  std::string norm_after;                  // name of the norm after the blocks, empty: none
  FeatureSelect select = FeatureSelect::patches;
  std::vector<std::size_t> taps;  // layers whose output is wanted beside the features
  /// Instead of patches and layers: the pixels of image_size, as one patch, go through stages, of which
  /// hidden() is the last one's width.
  std::optional<StagedTowerConfig> staged = {};

  std::size_t hidden() const { return layer.attention.hidden; }
  std::size_t class_rows() const { return class_token.empty() ? 0 : 1; }
  /// The patches of an image of image_size, which is what FixedPositions are stored for.
  PatchGrid grid() const {
    return staged ? staged->grid(image_size) : PatchGrid{image_size / patch_size, image_size / patch_size};
  }
  /// How the features of an image of these patches lie.
  PatchGrid feature_grid(const PatchGrid& patches) const { return staged ? grid() : patches; }
  /// Feature rows of an image of these patches.
  std::size_t feature_rows(const PatchGrid& patches) const {
    return feature_grid(patches).count() + (select == FeatureSelect::all ? class_rows() : 0);
  }
  /// … and of one of image_size.
  std::size_t feature_tokens() const { return feature_rows(grid()); }
};

/// A vision transformer with its weights. Const and shared after loading; the caller owns the scratch.
class VisionEncoder {
 public:
  /// @param prefix of the tensor names, such as "vision_tower.vision_model."
  /// @param weights with slices: the layers are divided between processes, where slices divide them
  /// @throws ModelError
  VisionEncoder(const Weights& weights, VisionConfig config, const std::string& prefix);
  /// Another process's part of the layers of a tower without stages; null where they are rank 0's alone.
  static std::shared_ptr<const SharedWork> part(const Weights& weights, const VisionConfig& config,
                                                const std::string& prefix);

  struct Encoded {
    Matrix<float> features;           // [sum of the images' feature_rows(), hidden]
    std::vector<Matrix<float>> taps;  // of each of config().taps: [sum of class rows and patches, hidden]
  };
  /// @param images each with its own number of patches
  /// @return rows in the order of the patches; an image's rows do not depend on the other images
  /// @throws ItemError invalid_value for a grid that there are no position embeddings for, and for frames
  /// that differ where the folder was packed without the kernel that they need
  Encoded encode(std::span<const Patches* const> images, Scratch& scratch) const;

  const VisionConfig& config() const { return config_; }
  std::size_t bytes() const;

 private:
  /// What goes through the blocks.
  struct Rows {
    MatrixView<float> x;                     // in place
    std::span<const std::size_t> sequences;  // rows of each image
    const RopeAngles* rope;
    std::span<Matrix<float>> taps;
  };

  const Linear& kernel_for(const Patches& image) const;
  void embed(const Patches& image, MatrixView<float> x, const Scratch& scratch) const;
  void run_blocks(const Rows& rows, std::span<const std::size_t> windows, Scratch& scratch) const;
  /// The same with the rows of each window side by side.
  void run_in_windows(const WindowOrder& order, const Rows& rows, Scratch& scratch) const;
  /// The rows of features of all images among those of all patches and class tokens.
  Matrix<float> select(std::span<const Patches* const> images, MatrixView<const float> x) const;

  VisionConfig config_;
  Linear patch_embedding_;                 // [hidden, 3 · patch²]
  std::optional<Linear> frame_embedding_;  // [hidden, 3 · frames · patch²]: of frames that differ
  std::vector<float> class_embedding_;     // [hidden]
  PositionTable positions_;
  Norm norm_of_values_, norm_of_patches_;
  Norm norm_before_, norm_after_;
  EncoderStack blocks_;
  std::shared_ptr<const GridBlocks> grid_blocks_;  // instead of them
};

}  // namespace mmbatch
