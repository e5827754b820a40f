#include <fmt/format.h>

#include "engine/base/error.h"
#include "jobs/query/query.h"
#include "jobs/query/row_writer.h"
#include "jobs/query/run_filter.h"
#include "jobs/query/summaries/failures.h"
#include "jobs/results/schema.h"

namespace mmbatch {
namespace {

// Of several sequences of an item the first counts.
constexpr const char* kRuns = R"sql(
SELECT u.key AS run, u.status, u.started, u.ended, u.resumed,
       count(r.key) AS items, sum(r.status = 'answered') AS answered, sum(r.status = 'failed') AS failed,
       m.family, m.precision, m.folder AS model, u.manifest, u.version, u.machine
FROM runs u LEFT JOIN models m ON m.key = u.model_key
     LEFT JOIN results r ON r.run_key = u.key AND r.current >= 0 AND r.sequence = 0
WHERE {} GROUP BY u.key ORDER BY u.key)sql";

constexpr const char* kJobs = R"sql(
SELECT r.run_key AS run, j.name AS job, j.task, count(*) AS items, sum(r.status = 'answered') AS answered,
       sum(r.status = 'failed') AS failed, avg(r.correct) AS exact_match, avg(r.total_ms) AS mean_ms
FROM {} WHERE {} AND {} AND r.sequence = 0 GROUP BY r.run_key, j.key ORDER BY r.run_key, j.key)sql";

const char* name_of(Summary what) {
  return what == Summary::runs ? "runs" : what == Summary::jobs ? "jobs" : "failures";
}

/// What is asked for and would be dropped.
void check_filters(const QueryOptions& options, Summary what) {
  const std::pair<const char*, bool> filters[] = {{"--sql", !options.sql.empty()},
                                                  {"--status", !options.status.empty()},
                                                  {"--finish-reason", !options.finish_reason.empty()},
                                                  {"--contains", !options.contains.empty()},
                                                  {"--where", !options.where.empty()},
                                                  {"--columns", !options.columns.empty()},
                                                  {"--sort", !options.sort.empty()},
                                                  {"--nearest", options.nearest.has_value()},
                                                  {"--job", what == Summary::runs && !options.job.empty()}};
  for (const auto& [option, given] : filters) {
    if (given) {
      throw UsageError(
          fmt::format("{} is a filter of answers: leave it out, or leave `{}` out", option, name_of(what)));
    }
  }
}

}  // namespace

std::uint64_t summarize(const std::filesystem::path& file, Summary what, const QueryOptions& options,
                        std::ostream& out) {
  if (options.style.format == OutputFormat::openai) {
    throw UsageError("--format openai is a form of answers: choose another for runs, jobs and failures");
  }
  check_filters(options, what);
  const auto database = open_for_reading(file);
  const std::string rows = run_filter(*database, options.run);
  check_job(*database, options.job);
  const char* const job = options.job.empty() ? "1" : "j.name = ?1";
  std::string sql;
  if (what == Summary::runs)
    sql = fmt::format(fmt::runtime(kRuns), options.run.empty() || options.run == "all" ? "1" : rows);
  else if (what == Summary::jobs)
    sql = fmt::format(fmt::runtime(kJobs), view_tables(), rows, job);
  else
    sql = failures_sql(rows, job);
  if (options.limit) sql += fmt::format(" LIMIT {}", *options.limit);
  Statement statement = database->prepare(sql);
  if (!options.job.empty()) statement.bind(1, options.job);
  return write_rows(statement, options.style, out);
}

}  // namespace mmbatch
