#pragma once

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "engine/nn/smoothing.h"
#include "engine/weights/precision.h"
#include "pipeline/quality/quality_items.h"

namespace mmbatch {

struct QualityOptions : PromptSource {
  std::shared_ptr<const ModelFiles> files;  // not null
  Precision precision = Precision::int8;
  std::optional<KvPrecision> kv_precision;  // none: as a run would choose
  const Smoothing* smoothing = nullptr;     // null: the checkpoint as it is
  int threads = 0;                          // 0: one per core
};

/// What computing in a precision does to a model, compared with float32: the same prompts, the same answer
/// tokens before each position.
struct QualityReport {
  std::string precision;  // "int8, kv bf16"
  std::size_t items = 0;
  std::size_t positions = 0;  // at which next tokens were compared

  /// Relative errors: the RMS of the difference over the RMS of float32's values.
  std::vector<double> vision_layers;     // of the rows that each layer of the vision encoder makes; or none
  std::optional<double> image_features;  // after the projector; absent: the model is text-only
  std::vector<double> layers;            // of the keys and values that each layer of the decoder makes
  double logits = 0;

  double largest_logit_error = 0;
  double logit_rms =
      0;  // of float32's logits, about their mean: what the largest error is to be seen against
  double same_token = 0;  // share of positions at which the likeliest token is the same
  double mean_kl = 0;     // KL divergence from float32's distribution of the next token, in nats
  double largest_kl = 0;

  std::size_t equal_answers = 0;  // greedy answers that are the same to the last token
  std::size_t scored = 0;         // items with reference answers
  std::size_t correct = 0;        // of them, in this precision
  std::size_t correct_f32 = 0;    // and in float32
};

/// Loads the model twice, one after the other, and compares.
/// @throws UsageError when the manifest holds no item that can be computed; ModelError
QualityReport measure_quality(const QualityOptions& options);

void print(const QualityReport& report, std::ostream& out);

}  // namespace mmbatch
