#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/nn/layer.h"
#include "vision/tower/relative/relative_attention.h"

namespace mmbatch {

/// The layers of a tower whose attention knows how far apart patches lie. Most see windows only, which are
/// filled up with zeros at the right and at the bottom; those count as patches.
struct RelativeBlocks {
  std::size_t window = 14;                // side, in patches
  std::vector<std::size_t> whole_layers;  // that see the whole grid
  std::size_t side = 64;                  // of the grid that the tables of whole layers are stored for
  std::string rows, columns;              // patterns of the tables' names, below the tower's prefix
};

/// A transformer's layers over the patches of one grid: x = x + attention(norm(x)); x = x +
/// feed_forward(norm(x)). What slices divide is computed by all processes; rank 0 tells the others of each
/// grid.
class GridBlocks final : public SharedWork {
 public:
  /// What all layers have in common.
  struct Layers {
    std::size_t count = 0;
    LayerConfig layer;
    LayerNames names;  // pattern, with the prefix
  };
  /// @param prefix of the tables' names  @throws ModelError
  GridBlocks(Weights weights, const Layers& layers, const RelativeBlocks& blocks, const std::string& prefix);

  /// Another process's part of them; null where they are rank 0's alone.
  static std::shared_ptr<const SharedWork> part(const Weights& weights, const Layers& layers,
                                                const RelativeBlocks& blocks, const std::string& prefix);

  /// @param x [grid.count(), hidden], in place
  void forward(MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const;
  void follow(MessageReader& message) const override;
  std::size_t bytes() const override;

 private:
  struct Block {
    Norm before_attention, before_feed_forward;
    std::vector<RelativeAttention> attention;  // its slices that are here; without slices all of it
    FeedForwardPart feed_forward;
    bool whole;
  };
  static std::vector<RelativeAttention> load_attention(const Weights& weights, const Layers& layers,
                                                       const SelfAttentionNames& names,
                                                       const RelativeTables& tables);
  void compute(MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const;
  void attend(const Block& block, MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const;

  std::string name_;  // a tensor's, which no other layers have
  std::shared_ptr<const Slices> slices_;
  std::size_t window_ = 1;
  std::vector<Block> blocks_;
  mutable Scratch following_;  // of follow(), which one thread calls
};

}  // namespace mmbatch
