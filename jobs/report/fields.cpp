#include "jobs/report/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "jobs/results/columns/table_views.h"
#include "jobs/results/schema.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::string_view kPrefix = "table_";
constexpr std::size_t kKeys = 5;  // run, id, status, error_code, sequence: the fields come behind them
constexpr std::size_t kMostFields = 100;
constexpr std::size_t kMostBytes = 60;  // of a value

/// The rows of a job's view that the report is about.
std::string rows_of(const std::string& view, const std::string& filter) {
  return fmt::format(
      "(SELECT t.* FROM {} t JOIN (SELECT DISTINCT r.run_key AS shown FROM results r WHERE {}) ON t.run = "
      "shown WHERE "
      "t.status = 'answered')",
      sql_name(view), filter);
}

std::string values_of(Database& database, const std::string& rows, const std::string& column) {
  const std::string name = sql_name(column);
  Statement kinds = database.prepare(fmt::format(
      "SELECT count({0}), coalesce(sum(typeof({0}) IN ('integer', 'real')), 0), count(DISTINCT {0}) FROM {1}",
      name, rows));
  kinds.step();
  constexpr std::int64_t kFewValues = 3;  // such as the two of a boolean
  if (kinds.integer(0) > 0 && kinds.integer(0) == kinds.integer(1) && kinds.integer(2) > kFewValues) {
    Statement middle =
        database.prepare(fmt::format("SELECT min({0}), max({0}), (SELECT {0} FROM {1} WHERE {0} IS NOT NULL "
                                     "ORDER BY {0} LIMIT 1 OFFSET {2}) FROM {1}",
                                     name, rows, (kinds.integer(0) - 1) / 2));
    middle.step();
    return fmt::format("{:.6g} to {:.6g}, median {:.6g}", middle.real(0), middle.real(1), middle.real(2));
  }
  Statement top = database.prepare(
      fmt::format("SELECT {0}, count(*) FROM {1} WHERE {0} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5",
                  name, rows));
  std::string out;
  while (top.step())
    out +=
        fmt::format("{}{} ({})", out.empty() ? "" : ", ", shortened(top.text(0), kMostBytes), top.integer(1));
  return out;
}

}  // namespace

std::vector<ReportTable> report_tables(const ReportSource& source) {
  std::vector<ReportTable> tables;
  Statement jobs = source.database.prepare("SELECT name FROM jobs ORDER BY key");
  std::vector<std::string> names;
  while (jobs.step()) names.emplace_back(jobs.text(0));
  const std::vector<std::string> views = table_views(source.database);
  for (const std::string& job : names) {
    const std::string view = std::string(kPrefix) + job;
    if (!source.job.empty() && job != source.job) continue;
    if (std::find(views.begin(), views.end(), view) == views.end()) continue;
    const std::string rows = rows_of(view, source.filter);
    ReportTable table{.job = job, .fields = {}};
    std::vector<std::string> columns;
    {
      const Statement none = source.database.prepare(fmt::format("SELECT * FROM {} LIMIT 0", sql_name(view)));
      for (int i = static_cast<int>(kKeys); i < none.columns() && columns.size() < kMostFields; ++i)
        columns.push_back(none.column_name(i));
    }
    for (const std::string& column : columns) {
      Statement counts =
          source.database.prepare(fmt::format("SELECT count(*), count({}) FROM {}", sql_name(column), rows));
      counts.step();
      const std::int64_t all = counts.integer(0), there = counts.integer(1);
      const double missing =
          all == 0 ? 0 : 100.0 * static_cast<double>(all - there) / static_cast<double>(all);
      table.fields.push_back({column, fmt::format("{}", there), fmt::format("{:.1f} %", missing),
                              values_of(source.database, rows, column)});
    }
    if (!table.fields.empty()) tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace mmbatch
