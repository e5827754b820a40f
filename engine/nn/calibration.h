#pragma once

#include <deque>
#include <string>
#include <vector>

#include "engine/nn/norm.h"
#include "engine/nn/smoothing.h"
#include "engine/weights/matrix_part.h"

namespace mmbatch {

/// What reads the rows that a norm makes, [out, hidden] each: weights that are packed, and some that are not,
/// such as a router's, because rounding them would change too much.
struct NormReaders {
  std::vector<MatrixPart> packed;
  std::vector<TensorView> plain = {};
};

/// A norm, the linear layers that read what it makes, and how large that became.
struct NormedChannels {
  std::string norm;  // name of its tensors, without ".weight"
  NormConfig config;
  NormReaders readers;
  std::vector<float> largest;  // [hidden]: the largest magnitude of each channel so far

  /// @param rows [rows, hidden], as the norm made them
  void see(MatrixView<const float> rows);
};

/// Watches a model while it computes. It outlives the model, which is used by one thread.
class Calibration {
 public:
  /// Says of a norm who reads it; what it makes is to be shown to the result, which stays where it is.
  NormedChannels& add(std::string norm, const NormConfig& config, NormReaders readers);
  const std::deque<NormedChannels>& norms() const { return norms_; }

 private:
  std::deque<NormedChannels> norms_;
};

/// Factors s = a^alpha / w^(1 - alpha) for every channel behind a norm, a the largest magnitude that was seen
/// of it and w that of the weights that read it (arXiv 2211.10438, equation 4). They are seen relative to
/// the norm's middle one, bounded, and rounded to powers of two, so that dividing and multiplying are exact.
/// A channel that was always zero, or that nothing reads, keeps 1.
/// @param alpha 0 … 1: how much of the difficulty of rounding goes from activations to weights
/// @throws ModelError when a norm's tensors are missing
Smoothing smoothing_of(const Calibration& calibration, const WeightSource& weights, float alpha);

}  // namespace mmbatch
