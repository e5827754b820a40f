#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/matrix.h"
#include "engine/nn/weights.h"

namespace mmbatch {

/// Each row scaled to length 1; a row of zeros stays one.  @return [rows, width]
Matrix<float> unit_length(MatrixView<const float> rows);

/// What the logits of an image's labels mean.
enum class LabelProbabilities {
  sigmoid,  // each label stands for itself, so that several have no sum (arXiv 2303.15343)
  softmax,  // one of the labels is right: they sum to 1 (arXiv 2103.00020)
};

struct SimilarityConfig {
  std::string scale, bias;  // names of the stored scalars; an empty bias: none
  LabelProbabilities labels = LabelProbabilities::sigmoid;
};

/// A label's probability and its logarithm.
struct LabelScore {
  double probability = 0;
  double logprob = 0;
};

/// How well an image and a text of a dual encoder go together.
class Similarity {
 public:
  /// @throws ModelError
  Similarity(const Weights& weights, const SimilarityConfig& config);

  /// exp(scale) · cosine + bias, of two embeddings of length 1, [1, width]
  double logit(const Matrix<float>& image, const Matrix<float>& text) const;
  /// Of all labels of an image.
  std::vector<LabelScore> scores(std::span<const double> logits) const;

 private:
  LabelProbabilities labels_;
  double scale_;  // exp of what is stored
  double bias_;
};

}  // namespace mmbatch
