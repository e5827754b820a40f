#pragma once

#include <string>
#include <vector>

#include "jobs/report/report_rows.h"

namespace mmbatch {

/// What answers to a JSON Schema hold, of each job that has such answers.
struct ReportTable {
  std::string job;
  /// field, answers with a value, share without, values: of numbers least, median and most, else the most
  /// frequent.
  std::vector<std::vector<std::string>> fields;
};
std::vector<ReportTable> report_tables(const ReportSource& source);

}  // namespace mmbatch
