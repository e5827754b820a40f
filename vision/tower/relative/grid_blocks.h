#pragma once

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
/// feed_forward(norm(x)).
class GridBlocks {
 public:
  /// What all layers have in common.
  struct Layers {
    std::size_t count = 0;
    LayerConfig layer;
    LayerNames names;  // pattern, with the prefix
  };
  GridBlocks() = default;
  /// @param prefix of the tables' names  @throws ModelError
  GridBlocks(const Weights& weights, const Layers& layers, const RelativeBlocks& blocks,
             const std::string& prefix);

  /// @param x [grid.count(), hidden], in place
  void forward(MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  struct Block {
    Norm before_attention, before_feed_forward;
    RelativeAttention attention;
    FeedForward feed_forward;
    bool whole;
  };
  void attend(const Block& block, MatrixView<float> x, const PatchGrid& grid, Scratch& scratch) const;

  std::size_t window_ = 1;
  std::vector<Block> blocks_;
};

}  // namespace mmbatch
