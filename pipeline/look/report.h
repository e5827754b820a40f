#pragma once

#include <filesystem>

#include "jobs/report/report.h"

namespace mmbatch {

/// Writes the report of a database with thumbnails of its images to a file, which is replaced at once.
/// @param options its `thumbnails` are set here when `max_thumbnails` is above 0
/// @throws FatalError
void report(const std::filesystem::path& database, ReportOptions options, const std::filesystem::path& file);

}  // namespace mmbatch
