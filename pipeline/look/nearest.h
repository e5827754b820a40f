#pragma once

#include <filesystem>
#include <string>

#include "jobs/query/nearest.h"

namespace mmbatch {

/// What `query --nearest WHAT` looks for: the item of that name ("job/id" or "id"), or else WHAT as a text. A
/// text takes the model that made the embeddings, which is read from its folder then, and only its text half.
/// @throws UsageError, DatabaseError, ModelError when that model is gone or has changed
NearestTarget find_nearest_target(const std::filesystem::path& database, const std::string& what);

}  // namespace mmbatch
