#pragma once

#include <string>
#include <string_view>

#include "jobs/manifest/manifest.h"

namespace mmbatch {

/// Lines of an OpenAI batch file (platform.openai.com/docs/guides/batch), one request a line:
///
///   { "custom_id": text, "method": "POST", "url": "/v1/chat/completions", "body": { "messages": […],
///   settings… } }
///
/// True when a line of JSON looks like one.
bool is_batch_request(std::string_view json);

/// The `custom_id`, or empty when there is none that can be used.
std::string custom_id_of(std::string_view json);

/// The request as an item (see item_parser.h). An absent temperature means the model's default, 0 greedy,
/// above 0 sampling without top_k.  @throws ItemError
std::string item_of_batch_request(std::string_view json, const Job& job);

/// A batch file as a manifest of one job, named after the file.
Manifest batch_manifest(const std::filesystem::path& file, const ManifestOptions& options);

}  // namespace mmbatch
