#include "fusion/similarity.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace mmbatch {
namespace {

double dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

/// A number that is stored with one dimension or with none.
double scalar(const Weights& weights, const std::string& name) {
  const bool bare = weights.source.tensor(name).shape.empty();
  const std::vector<std::size_t> shape(bare ? 0 : 1, 1);
  return static_cast<double>(to_floats(weights.tensor(name, shape)).front());
}

std::vector<LabelScore> softmax(std::span<const double> logits) {
  const double most = logits.empty() ? 0.0 : *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - most);
  std::vector<LabelScore> scores;
  for (const double logit : logits) {
    const double logprob = logit - most - std::log(sum);
    scores.push_back({std::exp(logprob), logprob});
  }
  return scores;
}

}  // namespace

Matrix<float> unit_length(MatrixView<const float> rows) {
  Matrix<float> out(rows.rows, rows.cols);
  for (std::size_t r = 0; r < rows.rows; ++r) {
    const float* row = rows.row(r);
    const double length = std::sqrt(dot(row, row, rows.cols));
    std::transform(row, row + rows.cols, out.row(r),
                   [&](float x) { return static_cast<float>(length > 0 ? x / length : 0.0); });
  }
  return out;
}

Similarity::Similarity(const Weights& weights, const SimilarityConfig& config)
    : labels_(config.labels),
      scale_(std::exp(scalar(weights, config.scale))),
      bias_(config.bias.empty() ? 0.0 : scalar(weights, config.bias)) {}

double Similarity::logit(const Matrix<float>& image, const Matrix<float>& text) const {
  assert(image.cols() == text.cols());
  return scale_ * dot(image.data(), text.data(), image.cols()) + bias_;
}

std::vector<LabelScore> Similarity::scores(std::span<const double> logits) const {
  if (labels_ == LabelProbabilities::softmax) return softmax(logits);
  std::vector<LabelScore> scores;
  for (const double logit : logits)
    scores.push_back({1.0 / (1.0 + std::exp(-logit)), -std::log1p(std::exp(-logit))});
  return scores;
}

}  // namespace mmbatch
