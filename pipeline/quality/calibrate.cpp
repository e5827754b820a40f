#include "pipeline/quality/calibrate.h"

#include <fmt/format.h>

#include <memory>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "engine/nn/calibration.h"
#include "pipeline/quality/quality_trace.h"

namespace mmbatch {

namespace {

/// What a precision that rounds them less than int8 leaves activations in.
std::string_view activations(Precision precision) {
  const bool as_weights = precision == Precision::f32 || precision == Precision::int16;
  return as_weights ? to_string(precision) : "bf16";
}

}  // namespace

void CalibrationOptions::validate(Precision precision) const {
  if (!(alpha >= 0 && alpha <= 1))
    throw UsageError(fmt::format("--smooth-alpha {}: must be from 0 to 1", alpha));
  if (precision == Precision::int8 || precision == Precision::int4) return;
  throw UsageError(
      fmt::format("--smooth: makes activations easier to round to int8, which --weights int8 and int4 do; {} "
                  "leaves them in {}",
                  to_string(precision), activations(precision)));
}

Smoothing calibrate(const CalibrationOptions& options) {
  const std::shared_ptr<const ModelFiles>& files = options.files;
  if (files->weights->packed()) {
    throw UsageError(fmt::format("{}: is packed already, in {}; take the published checkpoint",
                                 files->folder.string(), to_string(*files->weights->packed())));
  }
  if (files->spec.dual)
    throw UsageError(fmt::format("{}: only models with a decoder can be smoothed", files->folder.string()));
  const std::vector<QualityItem> items = quality_items(options, *files);
  Arena arena(options.threads);
  Calibration calibration;
  Smoothing smoothing;
  arena.run([&] {
    WeightHooks hooks;
    hooks.calibration = &calibration;
    TraceLimits limits;
    limits.layer_items = 0;
    trace_items(Model(files, Precision::f32, std::move(hooks)), KvPrecision::f32, items, nullptr, limits);
    smoothing = smoothing_of(calibration, *files->weights, options.alpha);
  });
  smoothing.made_by = fmt::format("alpha {}, {} prompts", options.alpha, items.size());
  return smoothing;
}

}  // namespace mmbatch
