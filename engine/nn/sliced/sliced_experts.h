#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/nn/moe/mixture_of_experts.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// A mixture of experts cut by experts: a slice has some of them, whole, and its columns of the shared one.
/// Every process routes all rows, which takes no message and gives the same choices everywhere. The interface
/// is that of MixtureOfExperts.
class SlicedExperts {
 public:
  SlicedExperts(const Weights& weights, const MixtureOfExpertsConfig& config,
                const MixtureOfExpertsNames& names);

  void forward(const LayerInput& x, MatrixView<float> y, const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  std::shared_ptr<const Slices> slices_;
  Router router_;
  std::vector<ExpertGroup> parts_;
};

}  // namespace mmbatch
