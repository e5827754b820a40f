#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/serve/engine.h"
#include "fusion/model.h"
#include "pipeline/quality/quality_items.h"

namespace mmbatch {

/// What a model made of one prompt.
struct QualityTrace {
  std::vector<std::int32_t> answer;   // greedy
  std::string text;                   // of it
  Matrix<float> logits;               // [positions, vocab], from the prompt's last token on
  std::vector<Matrix<float>> layers;  // keys and values that each layer made, [2, positions · width]; or none
  std::vector<Features> image_features;
  /// Rows of the vision encoder, of one image after the other its layers; or none.
  std::vector<Matrix<float>> vision_layers;
};

/// How much is kept of every prompt.
struct TraceLimits {
  std::size_t positions = 16;   // of logits
  std::size_t layer_items = 2;  // this many first prompts keep their layers
};

/// Runs all prompts through a model.
/// @param reference what float32 made of them, whose answers come before each position; null: this is
/// float32
std::vector<QualityTrace> trace_items(const Model& model, std::optional<KvPrecision> kv_precision,
                                      const std::vector<QualityItem>& items,
                                      const std::vector<QualityTrace>* reference, const TraceLimits& limits);

}  // namespace mmbatch
