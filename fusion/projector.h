#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/nn/encoder/attention_pooling.h"
#include "engine/nn/linear.h"
#include "engine/nn/scratch.h"
#include "fusion/ops/grid_ops.h"
#include "fusion/ops/grid_positions.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// y = x · Wᵀ + b, on every row, and what follows at once.
struct LinearOp {
  StoredLinear layer;
  Bias bias = Bias::present;
  std::optional<Activation> activation = {};
};

/// Several layers that read the same rows; what they make, side by side.
struct JoinedLinearOp {
  std::vector<StoredLinear> layers;
  Bias bias = Bias::present;
};

/// y = x · W, on every row, where W is stored as it stands here: [in, out].
struct TimesOp {
  std::string tensor;
  std::size_t out = 0;
};

/// Every number times a factor.
struct ScaleOp {
  float factor = 1.0f;
};

/// A picture in tiles becomes the rows of tile 0 and then one map of the others, cut to the picture's own
/// aspect, with a learned row at the end of each row.
struct JoinTilesOp {
  std::string newline;  // tensor, [width]
};

/// An image becomes one row: a learned query attends to all its rows.
struct PoolOp {
  std::string prefix;  // of the head's tensors
  LayerConfig layer;   // of the tower
};

/// An image becomes its first row: that of the class token.
struct FirstRowOp {};

/// Every row scaled to length 1.
struct UnitLengthOp {};

/// Every row normalised.
struct NormOp {
  std::string name;  // without ".weight"
  NormConfig norm;
};

/// Rows that lie block by block, side · side of them each, become one row a block, as wide as all of it.
struct MergeOp {
  std::size_t side = 2;
};

/// side · side neighbours become their mean.
struct AveragePoolOp {
  std::size_t side = 1;
};

/// side · side neighbours become one row, which holds all their numbers.
struct PixelShuffleOp {
  std::size_t side = 1;
  ShuffleOrder order = ShuffleOrder::places;
};

/// Learned vectors are added to the rows of a grid: the first part of each to the left part of a row, by its
/// column, the second to the right part, by its row; and to all of them what a film's first picture gets of
/// sines and cosines: 0, 1, 0, 1, ….
struct GridPositionsOp {
  std::string columns, rows;  // tensors, [side, width - width / 2] and [side, width / 2]
  std::size_t side = 0;       // of a grid at most
};

/// The mean of an image's rows goes before them.
struct MeanFirstOp {};

using ProjectorOp =
    std::variant<LinearOp, JoinedLinearOp, TimesOp, ScaleOp, JoinTilesOp, PoolOp, FirstRowOp, UnitLengthOp,
                 NormOp, MergeOp, AveragePoolOp, PixelShuffleOp, GridPositionsOp, MeanFirstOp>;

/// How a vision tower's features become rows of the decoder's width: operations in their order.
struct ProjectorConfig {
  std::size_t in = 0;  // width of the tower's features
  std::vector<ProjectorOp> ops;

  /// Width of the result.
  std::size_t out() const;
};

/// What the operations make of an image's rows: how many a prompt holds.
FeatureMap projected(const ProjectorConfig& config, FeatureMap map);
/// What they make of a tile alone, before tiles are joined: how many rows.
std::size_t rows_of_tile(const ProjectorConfig& config, FeatureMap map);

/// The operations with their weights. Const and thread-safe.
class Projector {
 public:
  /// @throws ModelError
  Projector(const Weights& weights, const ProjectorConfig& config);

  /// @param features [sum of the images' rows, in], image by image
  /// @return one matrix for each image, [projected rows, out]; it does not depend on the other images
  std::vector<Features> forward(MatrixView<const float> features, std::vector<FeatureMap> images,
                                Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  struct LoadedLinear {
    Linear layer;
    std::optional<Activation> activation;
  };
  struct Newline {
    std::vector<float> row;  // [width]
  };
  using Step = std::variant<LoadedLinear, ScaleOp, Newline, AttentionPooling, FirstRowOp, UnitLengthOp, Norm,
                            MergeOp, AveragePoolOp, PixelShuffleOp, GridPositions, MeanFirstOp>;
  struct Load;
  struct Run;

  ProjectorConfig config_;
  std::vector<Step> steps_;  // of each operation
};

}  // namespace mmbatch
