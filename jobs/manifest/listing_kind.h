#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "jobs/item/job.h"

namespace mmbatch {

/// The kind of a listing by its file's name, whatever its case, packed (.gz) or not; nothing for other names.
std::optional<ItemSource::Kind> listing_kind(const std::filesystem::path& file);

/// Why a file or pattern that is not a listing cannot be a pattern of image files; empty: it can.
std::string picture_pattern_fault(const std::filesystem::path& pattern);

}  // namespace mmbatch
