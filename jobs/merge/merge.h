#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mmbatch {

/// What came of a merge.
struct MergeReport {
  std::uint64_t databases = 0;
  std::uint64_t added = 0;                // outcomes of items that were new
  std::uint64_t known = 0;                // that were there already
  std::uint64_t conflicts = 0;            // that contradict what was there
  std::vector<std::string> descriptions;  // of the first conflicts
};

/// Puts the results of other databases into `out`, which is made when it does not exist. Runs of the same
/// manifest, model and settings, such as the shards of one, become one run. An outcome that `out` has already
/// is not added again, so that a merge can be repeated; an answer takes the place of a failure. Where two
/// databases contradict each other, the first one's outcome stays and the conflict is reported. Each database
/// is added in one transaction.
/// @throws DatabaseError, UsageError (a database into itself, a job that is another task's)
MergeReport merge_databases(const std::filesystem::path& out, const std::vector<std::filesystem::path>& in);

std::string to_text(const MergeReport& report);

}  // namespace mmbatch
