#pragma once

#include <filesystem>

#include "engine/nn/smoothing.h"
#include "engine/weights/precision.h"
#include "pipeline/quality/quality_items.h"

namespace mmbatch {

struct CalibrationOptions : PromptSource {
  std::shared_ptr<const ModelFiles> files;  // not null
  float alpha = 0.5f;  // 0 … 1: how much of the difficulty of rounding goes from activations to weights
  int threads = 0;     // 0: one per core

  /// @throws UsageError when `alpha` is out of range, or activations are not rounded to int8 in `precision`
  void validate(Precision precision) const;
};

/// Runs prompts and their greedy answers through a published checkpoint in float32, and finds from what its
/// norms made how to smooth it. The same prompts give the same bits on the same machine.
/// @throws UsageError for a model without a decoder, a packed one, and no prompt that can be computed;
/// ModelError
Smoothing calibrate(const CalibrationOptions& options);

}  // namespace mmbatch
