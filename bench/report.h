#pragma once

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "bench/result.h"

namespace mmbatch::bench {

/// One row of results as it is shown and stored.
struct Row {
  std::string workload, name, precision, unit;
  Timing timing;
  double value = 0;  // in `unit`, at the median
  std::optional<double> ceiling;
  std::optional<double> share;  // value / ceiling
};

std::vector<Row> rows_of(const std::vector<CaseResult>& results, const Ceilings& ceilings);

/// {"isa": the level of the kernels, "ceilings": {…}, "results": [{workload, case, precision, median_seconds,
/// min_seconds, max_seconds, value, unit, ceiling, share}]}; what the machine lacks, and what nothing binds,
/// is null.
std::string to_json(const Ceilings& ceilings, const std::vector<Row>& rows);
/// Reads the rows that to_json() wrote.  @throws UsageError that names file and key
std::vector<Row> read_rows(const std::filesystem::path& file);

void print_table(const Ceilings& ceilings, const std::vector<Row>& rows, std::ostream& out);

}  // namespace mmbatch::bench
