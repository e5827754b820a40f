#include "jobs/query/table_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "jobs/query/row_writer.h"
#include "jobs/query/user_sql.h"
#include "jobs/results/columns/field_values.h"
#include "jobs/results/columns/table_views.h"
#include "jobs/results/schema.h"

namespace mmbatch {
namespace {

constexpr const char* kPrefix = "table_";

std::vector<std::string> columns_of(Database& database, const std::string& view) {
  const Statement none = database.prepare(fmt::format("SELECT * FROM {} LIMIT 0", sql_name(view)));
  std::vector<std::string> names;
  for (int i = 0; i < none.columns(); ++i) names.push_back(none.column_name(i));
  return names;
}

std::string column_of(const std::vector<std::string>& known, const std::string& name) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return sql_name(name);
  const std::string nearest = nearest_name(name, known);
  throw UsageError(fmt::format("unknown column '{}'{}; columns are {}", name,
                               nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest),
                               fmt::join(known, ", ")));
}

/// The view of a table.  @throws UsageError that lists the tables when there is none of this name
std::string view_of(Database& database, const std::string& table) {
  const std::string view = kPrefix + table;
  std::vector<std::string> tables = table_views(database);
  if (std::find(tables.begin(), tables.end(), view) == tables.end()) {
    for (std::string& name : tables) name.erase(0, std::string_view(kPrefix).size());
    throw UsageError(fmt::format(
        "--table '{}': {}", table,
        tables.empty()
            ? "no job of this database has answers with columns: they need a response_format with a "
              "JSON Schema"
            : fmt::format("there is none; tables are {}", fmt::join(tables, ", "))));
  }
  return view;
}

std::unique_ptr<Database> open_tables(const std::filesystem::path& file, const QueryOptions& options) {
  if (options.style.format == OutputFormat::openai)
    throw UsageError("--table has no --format openai: that is a batch file's");
  return open_for_reading(file);
}

/// The condition, on a line of its own, so that a comment in it ends there.
std::string where(Database& database, const std::string& view, const QueryOptions& options) {
  allow_reading_only(database);
  if (options.where.empty()) return "";
  check_condition(database, options.where, sql_name(view));
  return fmt::format(" WHERE ({}\n)", options.where);
}

}  // namespace

std::uint64_t query_table(const std::filesystem::path& file, const std::string& table,
                          const QueryOptions& options, std::ostream& out) {
  const auto database = open_tables(file, options);
  const std::string view = view_of(*database, table);
  const std::vector<std::string> known = columns_of(*database, view);
  std::string columns;
  for (const std::string& name : options.columns)
    columns += (columns.empty() ? "" : ", ") + column_of(known, name);
  std::string sql = fmt::format("SELECT {} FROM {}{}", columns.empty() ? "*" : columns, sql_name(view),
                                where(*database, view, options));
  if (!options.sort.empty()) {
    const bool descending = options.sort[0] == '-';
    sql += fmt::format(" ORDER BY {}{}", column_of(known, options.sort.substr(descending ? 1 : 0)),
                       descending ? " DESC" : "");
  }
  if (options.limit) sql += fmt::format(" LIMIT {}", *options.limit);
  Statement rows = database->prepare_user_query(sql);
  return write_rows(rows, options.style, out);
}

std::uint64_t count_table_values(const std::filesystem::path& file, const std::string& table,
                                 const QueryOptions& options, std::ostream& out) {
  constexpr std::uint64_t kValues = 10;
  if (!options.sort.empty())
    throw UsageError("--values: the most frequent values come first; --sort does not go with it");
  const auto database = open_tables(file, options);
  const std::string view = view_of(*database, table);
  const std::vector<std::string> known = columns_of(*database, view);
  std::vector<std::string> fields = options.columns;
  const auto answers = find_answer_table(*database, view);
  if (fields.empty() && answers)
    fields.assign(answers->columns.begin() + static_cast<std::ptrdiff_t>(answers->keys),
                  answers->columns.end());
  if (fields.empty()) throw UsageError(fmt::format("--values: the table '{}' has no fields", table));
  if (fields.size() > kMaxCountedFields)
    throw UsageError(
        fmt::format("--values: {} fields, of which {} can be counted at once: name them with --columns",
                    fields.size(), kMaxCountedFields));
  const bool has_failed_rows = answers && answers->list.empty();  // lists are of answers alone
  for (const std::string& field : fields) column_of(known, field);
  const std::string shown =
      fmt::format("SELECT * FROM (SELECT * FROM {}{}){}", sql_name(view), where(*database, view, options),
                  has_failed_rows ? " WHERE status = 'answered'" : "");
  const std::string sql = value_counts_sql(shown, fields, options.limit.value_or(kValues));
  Statement rows = database->prepare_user_query(sql);
  return write_rows(rows, options.style, out);
}

}  // namespace mmbatch
