#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace mmbatch::bench {

/// Makes `level` the one that kernels run at, before any of them has.  @throws UsageError when it is unknown
/// or missing here
void use_level(const std::string& level);

/// Runs this program once for each level that runs here, the widest first, with these arguments, and shows
/// the cases beside each other: of each level what it reached, its share of the ceiling at that level, and
/// how it compares with the widest.
void run_levels(const std::vector<std::string>& arguments, const std::filesystem::path& scratch,
                std::ostream& out);

}  // namespace mmbatch::bench
