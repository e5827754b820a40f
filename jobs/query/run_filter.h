#pragma once

#include <string>

#include "jobs/results/database.h"

namespace mmbatch {

/// The SQL condition on `results r` for the rows of a run: a number, "latest" (the last one started), "all",
/// or empty for each item's latest outcome.
/// @param option that named the run
/// @throws UsageError when there is no such run
std::string run_filter(Database& database, const std::string& run, const std::string& option = "--run");

/// @throws UsageError that lists the jobs there are, when none has this name; an empty name is any job.
void check_job(Database& database, const std::string& job);

}  // namespace mmbatch
