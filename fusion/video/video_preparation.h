#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "engine/base/image/image_budget.h"
#include "engine/weights/weight_source.h"
#include "fusion/image_preparation.h"
#include "fusion/video/video_input.h"
#include "vision/preprocess/budget/block_preprocessor.h"
#include "vision/preprocess/grid/grid_tiler.h"

namespace mmbatch {

/// `video_processor` of processor_config.json, into which transformers 5 writes it; else
/// video_preprocessor_config.json; else, as transformers does, the image processor's file.
/// @throws ModelError when none of them is there
Config read_video_processor(const WeightSource& weights);

/// What a model does to the frames of a video before its vision tower sees them, and how many rows of a
/// prompt they take in the end. Const and thread-safe.
class VideoPreparation {
 public:
  /// @throws ModelError for a file that does not fit the tower
  VideoPreparation(const WeightSource& weights, const VisionSpec& vision, const VideoInput& video);

  /// A group of frames of a video.
  /// @param group as many as VideoInput::frames, of equal size
  /// @param shown frames of the whole video
  /// @throws ItemError as ImagePreparation::prepare()
  PixelValues prepare(std::span<const Image> group, std::size_t shown, const ImageBudget& budget) const;

  struct Frames {
    int width = 0;  // of each, in pixels
    int height = 0;
    std::size_t shown = 1;  // of the whole video
  };
  /// How the rows of a group of frames lie in a prompt.  @throws ItemError as prepare()
  FeatureMap layout(const Frames& frames, const ImageBudget& budget) const;
  /// For a group of frames.  @throws ItemError as prepare()
  PreparationMemory memory(const Frames& frames, const ImageBudget& budget) const;

 private:
  /// As many pixels as frames may have, where the file asks for a cap.
  struct Cap {
    std::int64_t tokens = 0;
  };
  ResizeRule rule(std::size_t shown) const;
  PixelBudget budget_of(std::size_t shown, const ImageBudget& budget) const;
  std::int64_t capped(std::int64_t frames) const;
  GridRule tile_rule(const ImageBudget& budget) const;

  VisionSpec vision_;
  VideoInput video_;
  std::optional<Cap> cap_;
  std::variant<BlockPreprocessor, GridTiler> preprocessor_;
};

}  // namespace mmbatch
