#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/results/database.h"

namespace mmbatch {

/// Items of a job that failed at the same stage with the same code, and the first of them.
struct FailureGroup {
  std::string job, stage, code;
  std::uint64_t items = 0;
  std::string example, message;  // the first item's id, and what it was told
};

/// A query of the failures, the most frequent first: job, error_stage, error_code, items, example, message.
/// @param filter which rows of `results r` are meant, in SQL
/// @param job_filter which rows of `jobs j` are, in SQL
std::string failures_sql(const std::string& filter, const std::string& job_filter);

/// @param job only this one; empty: all
std::vector<FailureGroup> failure_groups(Database& database, const std::string& filter,
                                         const std::string& job);

std::string to_json(const std::vector<FailureGroup>& groups);
/// Lines for people; empty when nothing failed.
std::string to_text(const std::vector<FailureGroup>& groups);

}  // namespace mmbatch
