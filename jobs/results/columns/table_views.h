#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jobs/results/database.h"

namespace mmbatch {

/// The views of a job whose answers are held to a JSON Schema: `table_<job>` has a row for each item's latest
/// outcome and sequence, and a typed column for each scalar property; `table_<job>.<list>` a row for each
/// element of a list, with its position. Columns are NULL where an item failed, and where the answer has
/// nothing there.

/// Keeps the schema of a job, and makes its views anew when it is another one than before.
/// @param schema JSON text; empty: the job has none, and views that it had stay as they are
void keep_job_schema(Database& database, std::int64_t job, const std::string& name,
                     const std::string& schema);

/// One of the tables that a job's answers fill, as a query.
struct AnswerTable {
  std::string list;  // `items`, `items.parts`; of the outermost table empty
  std::vector<std::string> columns;
  std::size_t keys = 0;  // the first of the columns tell rows apart, the others are fields
  std::string sql;
};

/// The tables of a job's answers, each after the one whose lists it has.
/// @param schema JSON text
/// @param filter which rows of `results r` are meant, in SQL
std::vector<AnswerTable> answer_tables(const std::string& schema, std::int64_t job,
                                       const std::string& filter);

/// The table that a view of that kind shows, of the answers that are not replaced; none for another name.
std::optional<AnswerTable> find_answer_table(Database& database, const std::string& view);

/// The names of all views of that kind.
std::vector<std::string> table_views(Database& database);

/// A name of SQL, and a text.
std::string sql_name(const std::string& name);
std::string sql_text(const std::string& text);

}  // namespace mmbatch
