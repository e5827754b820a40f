#include "jobs/query/summaries/failures.h"

#include <fmt/format.h>

#include "engine/base/text/visible.h"
#include "jobs/results/schema.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

// Each of an item's answers has a row, and their error is the item's once. Of the columns that are not
// counted SQLite takes the row where min() found its value: the first item's.
constexpr const char* kFailures = R"sql(
SELECT job, error_stage, error_code, items, example, message FROM
  (SELECT j.name AS job, r.error_stage, r.error_code, count(DISTINCT i.key) AS items, i.id AS example,
          r.error_message AS message, min(i.key) AS first, j.key AS job_key
   FROM {} WHERE {} AND {} AND r.error_code IS NOT NULL GROUP BY j.key, r.error_stage, r.error_code)
ORDER BY items DESC, job_key, first)sql";

}  // namespace

std::string failures_sql(const std::string& filter, const std::string& job_filter) {
  return fmt::format(fmt::runtime(kFailures), view_tables(), filter, job_filter);
}

std::vector<FailureGroup> failure_groups(Database& database, const std::string& filter,
                                         const std::string& job) {
  Statement rows = database.prepare(failures_sql(filter, job.empty() ? "1" : "j.name = ?1"));
  if (!job.empty()) rows.bind(1, job);
  std::vector<FailureGroup> groups;
  while (rows.step()) {
    groups.push_back({.job = std::string(rows.text(0)),
                      .stage = std::string(rows.text(1)),
                      .code = std::string(rows.text(2)),
                      .items = static_cast<std::uint64_t>(rows.integer(3)),
                      .example = std::string(rows.text(4)),
                      .message = std::string(rows.text(5))});
  }
  return groups;
}

std::string to_json(const std::vector<FailureGroup>& groups) {
  std::string out;
  for (const FailureGroup& group : groups) {
    out += fmt::format(
        "{}{{\"job\": {}, \"stage\": {}, \"code\": {}, \"items\": {}, \"example\": {}, \"message\": {}}}",
        out.empty() ? "" : ", ", json_string(group.job), json_string(group.stage), json_string(group.code),
        group.items, json_string(group.example), json_string(group.message));
  }
  return "[" + out + "]";
}

std::string to_text(const std::vector<FailureGroup>& groups) {
  if (groups.empty()) return "";
  std::string out = "\nfailures\n";
  for (const FailureGroup& group : groups) {
    out += visible_line(fmt::format("  {}: {} {}, {}/{}, such as {}: {}", group.job, group.items,
                                    group.items == 1 ? "item" : "items", group.stage, group.code,
                                    group.example, group.message)) +
           "\n";
  }
  return out;
}

}  // namespace mmbatch
