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

}  // namespace

std::vector<Features> embeddings_of(Matrix<float> rows) {
  std::vector<Features> embeddings;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const float* row = rows.row(r);
    const double length = std::sqrt(dot(row, row, rows.cols()));
    auto one = std::make_shared<Matrix<float>>(1, rows.cols());
    std::transform(row, row + rows.cols(), one->data(),
                   [&](float x) { return static_cast<float>(length > 0 ? x / length : 0.0); });
    embeddings.push_back(std::move(one));
  }
  return embeddings;
}

Similarity::Similarity(const Weights& weights, const std::string& scale, const std::string& bias)
    : scale_(std::exp(static_cast<double>(to_floats(weights.tensor(scale, {1})).front()))),
      bias_(static_cast<double>(to_floats(weights.tensor(bias, {1})).front())) {}

double Similarity::logit(const Matrix<float>& image, const Matrix<float>& text) const {
  assert(image.cols() == text.cols());
  return scale_ * dot(image.data(), text.data(), image.cols()) + bias_;
}

double Similarity::probability(double logit) {
  return 1.0 / (1.0 + std::exp(-logit));
}

}  // namespace mmbatch
