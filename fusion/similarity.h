#pragma once

#include <string>

#include "engine/base/matrix.h"
#include "engine/nn/weights.h"

namespace mmbatch {

/// Each row scaled to length 1; a row of zeros stays one.  @return [rows, width]
Matrix<float> unit_length(MatrixView<const float> rows);

/// How well an image and a text of a dual encoder go together (arXiv 2303.15343).
class Similarity {
 public:
  /// @param scale @param bias names of the stored scalars  @throws ModelError
  Similarity(const Weights& weights, const std::string& scale, const std::string& bias);

  /// exp(scale) · cosine + bias, of two embeddings of length 1, [1, width]
  double logit(const Matrix<float>& image, const Matrix<float>& text) const;
  /// sigmoid(logit): each pair stands for itself, so that the probabilities of several texts have no sum.
  static double probability(double logit);

 private:
  double scale_;  // exp of what is stored
  double bias_;
};

}  // namespace mmbatch
