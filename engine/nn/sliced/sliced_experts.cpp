#include "engine/nn/sliced/sliced_experts.h"

#include "engine/nn/sliced/parts.h"

namespace mmbatch {

SlicedExperts::SlicedExperts(const Weights& weights, const MixtureOfExpertsConfig& config,
                             const MixtureOfExpertsNames& names)
    : slices_(weights.slices),
      router_(weights, config.router, names.router),
      parts_(make_parts<ExpertGroup>(
          weights, [&](SlicedWeights& source, SliceOf slice) { source.add_experts(config, names, slice); },
          [&](const Weights& own, SliceOf slice) {
            return ExpertGroup(own, slice_of(config, slice), names);
          })) {}

void SlicedExperts::forward(const LayerInput& input, MatrixView<float> y, const Linear::Then& then,
                            Scratch& scratch) const {
  const RoutedRows rows = routed(router_, input, scratch);
  sum_of_parts(*slices_, y, then, scratch, [&](std::size_t i, MatrixView<float> made) {
    parts_[i].forward(rows.x, rows.chosen, made, {}, scratch);
  });
}

std::size_t SlicedExperts::bytes() const {
  return router_.bytes() + bytes_of(parts_);
}

}  // namespace mmbatch
