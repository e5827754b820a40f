#pragma once

#include <cstdint>
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

/// The names of all views of that kind.
std::vector<std::string> table_views(Database& database);

/// A name of SQL, and a text.
std::string sql_name(const std::string& name);
std::string sql_text(const std::string& text);

}  // namespace mmbatch
