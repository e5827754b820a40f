#pragma once

#include <filesystem>
#include <iosfwd>

namespace mmbatch::bench {

/// Writes for every case of both files: medians, their ratio, whether it lies beyond the spread of the
/// samples, and the shares of the ceilings of each run (on a shared machine these hold where seconds do not).
/// @throws UsageError for files that mmbatch_bench did not write
void compare(const std::filesystem::path& before, const std::filesystem::path& after, std::ostream& out);

}  // namespace mmbatch::bench
