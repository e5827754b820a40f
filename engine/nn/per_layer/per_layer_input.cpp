#include "engine/nn/per_layer/per_layer_input.h"

#include <cassert>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"

namespace mmbatch {

PerLayerInput::PerLayerInput(const Weights& weights, const PerLayerInputConfig& config,
                             const PerLayerInputNames& names)
    : activation_(config.activation),
      // Little work, and it reads the stream as it is, with whatever stands out in it.
      gate_(weights.in(edge_precision(weights.precision)), {names.gate, config.width}, config.hidden,
            Bias::absent),
      projection_(weights.in(edge_precision(weights.precision)), {names.projection, config.hidden},
                  config.width, Bias::absent),
      norm_(weights, names.norm, config.hidden, config.norm) {}

void PerLayerInput::forward(MatrixView<const float> embedding, MatrixView<float> x, Scratch& scratch) const {
  assert(embedding.rows == x.rows && embedding.cols == gate_.out());
  const MatrixView<float> gated = scratch.take(Scratch::widened, x.rows, gate_.out());
  gate_.forward(x, gated);
  parallel_rows(x.rows, [&](std::size_t r) {
    simd().activate_gated(activation_, gated.row(r), embedding.row(r), gated.cols, gated.row(r));
  });
  const MatrixView<float> made = scratch.take(Scratch::projected, x.rows, x.cols);
  projection_.forward(gated, made);
  parallel_rows(x.rows, [&](std::size_t r) {
    norm_.row(made.row(r), made.row(r));
    simd().add(x.row(r), made.row(r), x.cols);
  });
}

}  // namespace mmbatch
