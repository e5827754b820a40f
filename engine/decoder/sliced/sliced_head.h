#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "engine/nn/linear.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// The output head cut by tokens: every process computes the logits of its own, and rank 0 puts them
/// together.
class SlicedHead {
 public:
  /// @param weight [vocab, hidden]   @param bias [vocab], or empty
  SlicedHead(const Weights& weights, const TensorView& weight, std::span<const float> bias);

  /// @param x [rows, hidden]   @return [rows, vocab] in rank 0; of other processes [0, vocab]
  Matrix<float> forward(MatrixView<const float> x) const;
  std::size_t bytes() const { return rows_.out() == 0 ? 0 : rows_.bytes(); }

 private:
  std::shared_ptr<const Slices> slices_;
  std::size_t vocab_;
  std::size_t width_;  // tokens of a process; the last ones may have fewer
  Linear rows_;        // those of this one
};

}  // namespace mmbatch
