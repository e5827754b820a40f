#pragma once

#include <string_view>
#include <vector>

namespace mmbatch {

/// A vector that many others are compared with. Vectors are bytes of float32, which need not be aligned.
/// Const and thread-safe.
class SimilarityTarget {
 public:
  explicit SimilarityTarget(std::string_view vector);
  /// Of the vector, in bytes.
  std::size_t size() const { return bytes_; }
  /// The cosine of the angle between both, summed in double; NaN when one has no length.
  /// @param other of the same size
  double cosine(std::string_view other) const;

 private:
  std::size_t bytes_;
  std::vector<double> numbers_;  // and zeros, to a multiple of the lanes
  double squares_ = 0;
};

}  // namespace mmbatch
