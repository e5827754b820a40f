#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/nn/layer.h"

namespace mmbatch {

/// A head that makes one row of a sequence: a learned query, the probe, attends to all its rows, and
/// x + feed_forward(norm(x)) follows (arXiv 1810.00825, 2106.04560). Its query, key and value projections are
/// stored as one tensor.
class AttentionPooling {
 public:
  /// @param layer widths, heads, norm and activation: those of the encoder before it
  /// @param prefix of "probe", "attention.…", "layernorm.…", "mlp.…"  @throws ModelError
  AttentionPooling(const Weights& weights, const LayerConfig& layer, const std::string& prefix);

  /// @param x [sum of rows, hidden]   @param rows of each sequence   @return [sequences, hidden]
  Matrix<float> forward(MatrixView<const float> x, std::span<const std::size_t> rows, Scratch& scratch) const;
  std::size_t bytes() const { return keys_values_.bytes() + output_.bytes() + feed_forward_.bytes(); }

 private:
  LayerConfig config_;
  std::vector<float> query_;  // [hidden]: the probe, projected
  Linear keys_values_;
  Linear output_;
  Norm norm_;
  FeedForward feed_forward_;
};

}  // namespace mmbatch
