#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "pipeline/quality.h"

namespace mmbatch {

/// A prompt to compare precisions on.
struct QualityItem {
  std::vector<std::int32_t> ids;               // with a placeholder an image
  std::function<std::vector<Image>()> images;  // decoded when they are needed
  std::vector<std::string> references;
  std::size_t max_new_tokens = 16;
};

/// The first items of the manifest that can be computed, or made-up ones.
/// @throws UsageError when there are none
std::vector<QualityItem> quality_items(const QualityOptions& options, const ModelFiles& files);

}  // namespace mmbatch
