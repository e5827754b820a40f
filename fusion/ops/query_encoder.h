#pragma once

#include <string>
#include <vector>

#include "engine/nn/encoder/encoder_stack.h"
#include "engine/nn/weights.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// Learned queries behind the rows of each grid: all go through an encoder in which the grid's rows see each
/// other, and a query sees them and the queries before it (arXiv 2601.20552). What becomes of the queries
/// takes the place of the rows.
struct QueryEncoderOp {
  EncoderStackConfig layers;  // whole names
  std::string norm;           // behind the last layer
  double theta = 10000.0;     // of the rotary embedding, by place
  /// Tensors of queries, those with fewer first: the first that has as many as a grid has rows is taken.
  struct Queries {
    std::string name;
    std::size_t rows = 0;
  };
  std::vector<Queries> queries;
};

class QueryEncoder {
 public:
  /// @throws ModelError
  QueryEncoder(const Weights& weights, const QueryEncoderOp& op);

  /// @param rows [rows of all grids, hidden], grids one after another   @param grids rows of each
  /// @return the same shape
  Matrix<float> forward(MatrixView<const float> rows, std::span<const std::size_t> grids,
                        Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  EncoderStack layers_;
  Norm norm_;
  std::vector<float> frequencies_;
  std::vector<Matrix<float>> queries_;
};

/// Rows of each grid of an image, in their order.
std::vector<std::size_t> rows_of_grids(std::span<const FeatureMap> images);

}  // namespace mmbatch
