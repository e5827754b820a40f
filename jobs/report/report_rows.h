#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/report/report.h"
#include "jobs/results/database.h"

namespace mmbatch {

/// Where a report's numbers come from.
struct ReportSource {
  Database& database;
  std::string filter;  // run_filter()
  std::string job;     // empty: all
};

struct ReportTotals {
  std::uint64_t items = 0, answered = 0, failed = 0;
};
ReportTotals report_totals(const ReportSource& source);

/// Milliseconds of all answered items, sorted.
std::vector<double> report_latencies(const ReportSource& source);
/// When items were answered, in seconds since 1970, sorted.
std::vector<double> report_times(const ReportSource& source);
/// The summaries (JSON) of the runs.
std::vector<std::string> report_stats(const ReportSource& source);
/// Manifest and model in one line.
std::string report_subtitle(const ReportSource& source);
/// run, status, started, ended, model, precision, version, machine.
std::vector<std::vector<std::string>> report_runs(const ReportSource& source);

/// The rows of the table.
struct ReportRows {
  std::uint64_t items = 0;
  /// [[id, job, question, answer, references, 1 | 0 | null, ms | null, error, [index of thumbnail…],
  /// images, [[kind, label, [x, y, …]]…]]…], where x and y are shares of the picture's sides
  std::string json;
  std::string thumbnails_json;  // [base64…]
};
ReportRows report_rows(const ReportSource& source, const ReportOptions& options);

}  // namespace mmbatch
