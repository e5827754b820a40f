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
#include "vision/tower/features.h"

namespace mmbatch {

/// y = x · Wᵀ + b, on every row, and what follows at once.
struct LinearOp {
  StoredLinear layer;
  Bias bias = Bias::present;
  std::optional<Activation> activation = {};
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

using ProjectorOp = std::variant<LinearOp, ScaleOp, JoinTilesOp, PoolOp, UnitLengthOp, NormOp, MergeOp>;

/// How a vision tower's features become rows of the decoder's width: operations in their order.
struct ProjectorConfig {
  std::size_t in = 0;  // width of the tower's features
  std::vector<ProjectorOp> ops;

  /// Width of the result.
  std::size_t out() const;
};

/// What the operations make of an image's rows: how many a prompt holds.
FeatureMap projected(const ProjectorConfig& config, FeatureMap map);

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
  using Step = std::variant<LoadedLinear, ScaleOp, Newline, AttentionPooling, UnitLengthOp, Norm, MergeOp>;
  struct Load;
  struct Run;

  ProjectorConfig config_;
  std::vector<Step> steps_;  // of each operation
};

}  // namespace mmbatch
