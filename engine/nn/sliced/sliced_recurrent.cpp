#include "engine/nn/sliced/sliced_recurrent.h"

#include <variant>

#include "engine/nn/sliced/parts.h"

namespace mmbatch {
namespace {

/// So many times a slice.
struct Several {
  std::size_t slices;

  RecurrentConfig operator()(GatedDeltaNetConfig slice) const {
    slice.key_heads *= slices;
    slice.value_heads *= slices;
    return slice;
  }
  RecurrentConfig operator()(ShortConvolutionConfig slice) const {
    slice.channels *= slices;
    return slice;
  }
};

}  // namespace

SlicedRecurrent::SlicedRecurrent(const Weights& weights, const RecurrentConfig& config,
                                 const RecurrentNames& names)
    : slices_(weights.slices),
      state_floats_(state_floats(slice_of(config, {0, slices_->count()}))),
      parts_(make_parts<RecurrentMixer>(
          weights, [&](SlicedWeights& source, SliceOf slice) { source.add_recurrent(config, names, slice); },
          [&](const Weights& own, SliceOf slice) {
            return RecurrentMixer(own, slice_of(config, slice), names);
          })) {}

void SlicedRecurrent::forward(const LayerInput& x, MatrixView<float> y, std::span<const RecurrentSpan> spans,
                              const Linear::Then& then, Scratch& scratch) const {
  sum_of_parts(*slices_, y, then, scratch, [&](std::size_t i, MatrixView<float> made) {
    std::vector<RecurrentSpan> own(spans.begin(), spans.end());
    for (RecurrentSpan& span : own) {
      if (span.before != nullptr) span.before += i * state_floats_;
      span.after += i * state_floats_;
    }
    parts_[i].forward(x, made, own, {}, scratch);
  });
}

std::size_t SlicedRecurrent::bytes() const {
  return bytes_of(parts_);
}

RecurrentConfig recurrent_here(const RecurrentConfig& config, const Slices& slices) {
  return std::visit(Several{slices.here()}, slice_of(config, {0, slices.count()}));
}

}  // namespace mmbatch
