#include <fmt/format.h>

#include "engine/base/error.h"
#include "jobs/query/query.h"
#include "jobs/query/row_writer.h"
#include "jobs/query/run_filter.h"
#include "jobs/results/schema.h"

namespace mmbatch {
namespace {

// Of several sequences of an item the first counts.
constexpr const char* kRuns = R"sql(
SELECT u.key AS run, u.status, u.started, u.ended, u.resumed,
       count(r.key) AS items, sum(r.status = 'answered') AS answered, sum(r.status = 'failed') AS failed,
       m.family, m.precision, m.folder AS model, u.manifest, u.version, u.machine
FROM runs u JOIN models m ON m.key = u.model_key
     LEFT JOIN results r ON r.run_key = u.key AND r.current >= 0 AND r.sequence = 0
GROUP BY u.key ORDER BY u.key)sql";

constexpr const char* kJobs = R"sql(
SELECT r.run_key AS run, j.name AS job, j.task, count(*) AS items, sum(r.status = 'answered') AS answered,
       sum(r.status = 'failed') AS failed, avg(r.correct) AS exact_match, avg(r.total_ms) AS mean_ms
FROM {} WHERE {} AND r.sequence = 0 GROUP BY r.run_key, j.key ORDER BY r.run_key, j.key)sql";

constexpr const char* kFailures = R"sql(
SELECT j.name AS job, r.error_stage, r.error_code, count(*) AS items, min(i.id) AS example,
       min(r.error_message) AS message
FROM {} WHERE {} AND r.error_code IS NOT NULL
GROUP BY j.key, r.error_stage, r.error_code ORDER BY count(*) DESC, j.key)sql";

}  // namespace

std::uint64_t summarize(const std::filesystem::path& file, Summary what, const QueryOptions& options,
                        std::ostream& out) {
  if (options.format == OutputFormat::openai) {
    throw UsageError("--format openai is a form of answers: choose another for runs, jobs and failures");
  }
  const auto database = open_for_reading(file);
  std::string sql = kRuns;
  const std::string rows = run_filter(*database, options.run);
  if (what == Summary::jobs) sql = fmt::format(kJobs, view_tables(), rows);
  if (what == Summary::failures) sql = fmt::format(kFailures, view_tables(), rows);
  Statement statement = database->prepare(sql);
  return write_rows(statement, options.format, options.width, out);
}

}  // namespace mmbatch
