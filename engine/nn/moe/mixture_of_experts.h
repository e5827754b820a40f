#pragma once

#include <cstddef>
#include <vector>

#include "engine/nn/calibration.h"
#include "engine/nn/moe/expert_group.h"
#include "engine/nn/moe/router.h"

namespace mmbatch {

/// A feed-forward of many experts, of which each token goes to a few (arXiv 1701.06538, 2101.03961): the sum
/// of weight · expert(x) over the chosen ones, by their numbers, and the shared expert's answer if there is
/// one.
class MixtureOfExperts {
 public:
  MixtureOfExperts(const Weights& weights, const MixtureOfExpertsConfig& config,
                   const MixtureOfExpertsNames& names);

  /// @param y [rows, hidden], stored or added to as `then` says; may be what is read
  void forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const { return router_.bytes() + experts_.bytes(); }

  /// What reads the norm before it.
  static NormReaders readers(const Weights& weights, const MixtureOfExpertsConfig& config,
                             const MixtureOfExpertsNames& names);

 private:
  Router router_;
  ExpertGroup experts_;
};

/// Rows as experts and a router read them.
struct RoutedRows {
  MatrixView<const float> x;  // [rows, hidden], normalised
  std::vector<ChosenExpert> chosen;
};
/// Normalises rows, if there is a norm, and chooses their experts.
RoutedRows routed(const Router& router, const LayerInput& input, Scratch& scratch);

}  // namespace mmbatch
