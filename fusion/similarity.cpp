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
