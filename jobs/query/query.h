#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/query/nearest.h"

namespace mmbatch {

enum class OutputFormat { table, csv, json, jsonl, markdown, openai };

/// @throws UsageError that lists the formats.
OutputFormat output_format(std::string_view name);

/// What a spreadsheet would take for a formula in the cells of a CSV.
enum class CsvCells {
  as_they_are,
  defused,  // a text that begins with = + - @, a tab or a carriage return gets an apostrophe before it
};

/// How rows are written.
struct RowStyle {
  OutputFormat format = OutputFormat::table;
  std::size_t width = 0;  // of the terminal; 0: tables are as wide as they need
  CsvCells cells = CsvCells::as_they_are;
};

/// What of a results database is shown.
struct QueryOptions {
  std::string run;  // a number; "all"; empty: the view `answers`, each item's latest outcome
  std::string job;
  std::string status;         // answered | failed
  std::string finish_reason;  // stop | length | stop_string | choice | repetition
  std::string contains;       // text in prompt or answer, in any language; upper and lower case are the same
  std::string where;          // SQL expression over the view's columns
  std::vector<std::string> columns;  // empty: all, or for table and markdown the most telling
  std::string sort;                  // a column, with '-' before it for descending; empty: job, position
  std::optional<std::uint64_t> limit;
  std::optional<NearestTarget>
      nearest;      // only rows with embeddings, the most similar first, and `similarity`
  std::string sql;  // one SELECT; excludes all of the above; cosine(a, b) may be used
  RowStyle style;   // openai: an item a line, in batch_lines.h's form; filters only
};

/// Columns of the view `answers` in their order.
const std::vector<std::string>& answer_columns();

/// Writes the rows and returns their number. Reads only, also while a run writes; statements that would write
/// are refused. @throws DatabaseError, UsageError (unknown column or value, SQL error, SQL that writes).
std::uint64_t query(const std::filesystem::path& database, const QueryOptions& options, std::ostream& out);

enum class Summary { runs, jobs, failures };

/// One line a run, a job of a run, or a kind of failure. Of the filters, runs take `run` and `limit`, jobs
/// and failures `job` too.  @throws UsageError that names any other filter
std::uint64_t summarize(const std::filesystem::path& database, Summary what, const QueryOptions& options,
                        std::ostream& out);

}  // namespace mmbatch
