#pragma once

#include <string>
#include <vector>

#include "engine/nn/self_attention.h"
#include "vision/preprocess/patches.h"

namespace mmbatch {

/// Where the learned vectors of row and column distances lie, [length, head_dim] each, full names.
struct RelativeTables {
  std::string rows, columns;
  std::size_t length = 0;  // 2 · n - 1 for grids of n patches a side
};

/// Self-attention over the patches of grids, each score of which gets a bias by how many rows and columns lie
/// between the two patches: products of the query, not scaled, with learned vectors (arXiv 2112.01526).
class RelativeAttention {
 public:
  /// @param config without a rotary embedding, norms or a gate; its heads may be some of those that a width
  /// of `hidden` has room for   @param names with query_key_value
  /// @throws ModelError
  RelativeAttention(const Weights& weights, const SelfAttentionConfig& config,
                    const SelfAttentionNames& names, const RelativeTables& tables);

  /// @param x [grids · grid.count(), hidden], grids of one size, which do not see each other
  /// @param y the same
  void forward(MatrixView<const float> x, const PatchGrid& grid, MatrixView<float> y, Scratch& scratch) const;
  std::size_t bytes() const;

  /// Numbers of a head while scores are computed: those of the head itself, and one for each row and column.
  static std::size_t widened(std::size_t head_dim, const PatchGrid& grid) {
    return head_dim + grid.rows + grid.columns;
  }

 private:
  /// Of all heads' queries.
  std::size_t width() const { return config_.shape.heads * config_.shape.head_dim; }
  /// A table for grids of `count` patches along its axis, [2 · count - 1, head_dim].
  std::vector<float> table_for(const std::vector<float>& stored, std::size_t count) const;

  SelfAttentionConfig config_;
  Linear qkv_, output_;
  std::vector<float> rows_, columns_;  // [length, head_dim]
};

}  // namespace mmbatch
