#pragma once

#include <variant>
#include <vector>

#include "engine/base/image/image_budget.h"
#include "engine/weights/weight_source.h"
#include "fusion/model_spec.h"
#include "vision/image/image.h"
#include "vision/preprocess/budget/block_preprocessor.h"
#include "vision/preprocess/budget/edge_preprocessor.h"
#include "vision/preprocess/budget/soft_token_preprocessor.h"
#include "vision/preprocess/budget/split_preprocessor.h"
#include "vision/preprocess/grid/grid_tiler.h"
#include "vision/preprocess/grid/padded_tiler.h"
#include "vision/preprocess/patches.h"
#include "vision/preprocess/preprocess.h"

namespace mmbatch {

/// An image ready for the vision tower: itself, or as a whole and in tiles.
struct PixelValues {
  std::vector<Patches> tiles;  // one, or the tiles of the grid, and before or behind them the whole picture
  TileGrid grid;               // 0 x 0: not in tiles
  int width = 0;               // of the picture, in pixels
  int height = 0;
};

/// A picture's size, in pixels.
struct PictureSides {
  int width = 0;
  int height = 0;
};

/// What it takes to make rows of a picture, in bytes at most.
struct PreparationMemory {
  std::size_t patches = 0;    // that it becomes
  std::size_t preparing = 0;  // beside the picture, with what comes out
  std::size_t encoding = 0;   // of the vision tower, beside its weights
};

/// @param pixels that a picture becomes.  @param patches likewise
PreparationMemory preparation_memory(const VisionConfig& tower, std::size_t pixels, std::size_t patches);

/// The checkpoint's preprocessor_config.json, or `image_processor` of processor_config.json, into which
/// transformers 5 writes it; where both are there, the latter counts.
/// @throws ModelError when neither is there
Config read_image_processor(const WeightSource& weights);

/// What a model does to a picture before its vision tower sees it, and how many rows of a prompt the picture
/// takes in the end. Const and thread-safe.
class ImagePreparation {
 public:
  /// From the checkpoint's preprocessor_config.json, or what processor_config.json has of it.
  /// @throws ModelError when it is missing, or makes images of another size than the tower takes
  ImagePreparation(const WeightSource& weights, const VisionSpec& spec);

  /// @throws ItemError image_too_large for a picture of so extreme a shape that it cannot be resized;
  /// invalid_value as check()
  PixelValues prepare(const Image& image, const ImageBudget& budget = {}) const;

  /// How the rows of a picture of this size, in pixels, lie in a prompt.  @throws ItemError as prepare()
  FeatureMap layout(int width, int height, const ImageBudget& budget = {}) const;
  /// How many they are.
  std::size_t tokens(int width, int height, const ImageBudget& budget = {}) const {
    return layout(width, height, budget).rows;
  }
  /// For a picture of this size, in pixels.  @throws ItemError as prepare()
  PreparationMemory memory(int width, int height, const ImageBudget& budget = {}) const;
  /// Rows that any picture takes at most, as long as nobody asks for a budget of their own.
  std::size_t most_tokens() const;
  /// @throws ItemError invalid_value for a budget that this model's images cannot keep to; the message says
  /// what is allowed
  void check(const ImageBudget& budget) const;

 private:
  /// The grids that an image seen whole and in tiles may have.
  std::vector<GridPinpoint> pinpoints(const Tiler& tiler, const PictureSides& picture,
                                      const ImageBudget& budget) const;
  /// Rows that an image may become.
  std::int64_t rows(const SoftTokenPreprocessor& soft, const ImageBudget& budget) const;

  VisionSpec spec_;
  std::variant<Preprocessor, Tiler, GridTiler, BlockPreprocessor, EdgePreprocessor, SoftTokenPreprocessor,
               SplitPreprocessor, PaddedTiler>
      preprocessor_;  // by spec_.form
};

}  // namespace mmbatch
