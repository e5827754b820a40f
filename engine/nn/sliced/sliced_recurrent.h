#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/nn/recurrent/recurrent_mixer.h"
#include "engine/parallel/slices.h"

namespace mmbatch {

/// A recurrent layer cut by heads, or by channels. A sequence's state has those of this process's slices, one
/// behind the other. The interface is that of RecurrentMixer.
class SlicedRecurrent {
 public:
  SlicedRecurrent(const Weights& weights, const RecurrentConfig& config, const RecurrentNames& names);

  void forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
               const Linear::Then& then, Scratch& scratch) const;
  std::size_t bytes() const;

 private:
  std::shared_ptr<const Slices> slices_;
  std::size_t state_floats_;  // of a slice
  std::vector<RecurrentMixer> parts_;
};

/// A layer as large as this process's part of one that is cut; its states are as large as those of the part.
RecurrentConfig recurrent_here(const RecurrentConfig& config, const Slices& slices);

}  // namespace mmbatch
