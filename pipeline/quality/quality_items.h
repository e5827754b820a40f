#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "jobs/manifest/manifest.h"

namespace mmbatch {

/// Where prompts come from that a model is tried on.
struct PromptSource {
  /// Its first items; none: made-up questions about made-up pictures.
  std::shared_ptr<const Manifest> manifest;
  std::size_t items = 32;
};

/// A prompt to compare precisions on.
struct QualityItem {
  std::vector<std::int32_t> ids;               // with a placeholder for each image
  std::function<std::vector<Image>()> images;  // decoded when they are needed
  std::vector<std::string> references;
  std::size_t max_new_tokens = 16;
};

/// The first items of the manifest that can be computed, or made-up ones.
/// @throws UsageError when there are none
std::vector<QualityItem> quality_items(const PromptSource& source, const ModelFiles& files);

}  // namespace mmbatch
