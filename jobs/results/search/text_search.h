#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jobs/results/database.h"

namespace mmbatch {

/// The rows of `phrases` that contain a text, as a JSON list of their keys; nothing as soon as they are found
/// to belong to more than `most` items and results together. Upper and lower case are the same.
std::optional<std::string> phrases_of_few(Database& database, const std::string& text, std::int64_t most);

}  // namespace mmbatch
