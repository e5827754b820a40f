#pragma once

#include <filesystem>
#include <optional>

#include "engine/base/image/truncated_images.h"
#include "jobs/item/job.h"
#include "jobs/item/settings.h"

namespace mmbatch {

struct ManifestOptions {
  std::filesystem::path media_root;  // for file:// in OpenAI batch files; empty: such paths are refused
  std::optional<TruncatedImages> truncated_images = {};  // stronger than what manifest and jobs say
  ImageBudget image_budget = {};                         // likewise
  TemplateVariables template_variables = {};             // stronger than those of manifest, jobs and items
  std::optional<std::tm> template_time = {};             // stronger than the manifest's
  PartsCounter count_parts = {};  // for documents and videos whose parts are not all named
};

/// Reads and checks a manifest, or an OpenAI batch file (.jsonl, .ndjson, or .gz of it), which is a manifest
/// of one job, named after the file. Listing files are opened for a look at their beginning, images are not.
/// @throws UsageError that names file, line, column, key, what is allowed and the nearest known key.
Manifest read_manifest(const std::filesystem::path& file, const ManifestOptions& options = {});

}  // namespace mmbatch
