#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "jobs/query/query.h"

namespace mmbatch {

/// Writes the table that the answers of a job with a JSON Schema fill, or one of its lists' (`JOB.LIST`), and
/// returns the number of rows. Of the options, `where`, `columns`, `sort`, `limit` and the style count.
/// @throws UsageError that lists the tables when there is none of this name
std::uint64_t query_table(const std::filesystem::path& database, const std::string& table,
                          const QueryOptions& options, std::ostream& out);

/// Writes how often each value stands in the fields of such a table, a row for a field and a value, the most
/// frequent first; NULL stands for rows without one. Of the options, `where`, `columns` (the fields), `limit`
/// (values of each field) and the style count. Failed items' rows are left out.
/// @return the number of rows  @throws as query_table()
std::uint64_t count_table_values(const std::filesystem::path& database, const std::string& table,
                                 const QueryOptions& options, std::ostream& out);

}  // namespace mmbatch
