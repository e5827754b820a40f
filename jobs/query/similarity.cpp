#include "jobs/query/similarity.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace mmbatch {
namespace {

/// Numbers at a time, each with sums of its own that stay in registers.
constexpr std::size_t kLanes = 8;

}  // namespace

SimilarityTarget::SimilarityTarget(std::string_view vector)
    : bytes_(vector.size()), numbers_((vector.size() / sizeof(float) + kLanes - 1) / kLanes * kLanes) {
  std::vector<float> numbers(vector.size() / sizeof(float));
  if (!numbers.empty()) std::memcpy(numbers.data(), vector.data(), numbers.size() * sizeof(float));
  std::copy(numbers.begin(), numbers.end(), numbers_.begin());
  squares_ = std::inner_product(numbers_.begin(), numbers_.end(), numbers_.begin(), 0.0);
}

double SimilarityTarget::cosine(std::string_view other) const {
  double products[kLanes] = {}, squares[kLanes] = {};
  float x[kLanes] = {};
  const auto add = [&](const double* y) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double number = x[lane];
      products[lane] += number * y[lane];
      squares[lane] += number * number;
    }
  };
  std::size_t i = 0;
  for (; (i + kLanes) * sizeof(float) <= bytes_; i += kLanes) {
    std::memcpy(x, other.data() + i * sizeof(float), sizeof x);
    add(numbers_.data() + i);
  }
  if (i < numbers_.size()) {
    std::memset(x, 0, sizeof x);
    std::memcpy(x, other.data() + i * sizeof(float), bytes_ - i * sizeof(float));
    add(numbers_.data() + i);
  }
  const double product = std::accumulate(products, products + kLanes, 0.0);
  const double lengths = std::sqrt(std::accumulate(squares, squares + kLanes, 0.0) * squares_);
  return lengths > 0 ? product / lengths : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace mmbatch
