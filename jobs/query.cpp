#include "jobs/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ostream>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/base/lower_case.h"
#include "engine/base/utf8.h"
#include "jobs/row_writer.h"
#include "jobs/run_filter.h"
#include "jobs/schema.h"
#include "jobs/text_width.h"

namespace mmbatch {
namespace {

/// An SQL condition with its values, in their order.
struct Condition {
  std::string sql;
  std::vector<std::string> values;
  void add(const std::string& term) { sql += fmt::format("{}({})", sql.empty() ? "" : " AND ", term); }
  void add(const std::string& term, std::string value) {
    add(term);
    values.push_back(std::move(value));
  }
};

void check_column(const std::string& name) {
  const auto& known = answer_columns();
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  const std::string nearest = nearest_name(name, known);
  throw UsageError(fmt::format("unknown column '{}'{}; columns are {}", name,
                               nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest),
                               fmt::join(known, ", ")));
}

void check_value(const char* option, const std::string& value, const std::vector<std::string>& allowed) {
  if (value.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  throw UsageError(fmt::format("{} '{}' is none of {}", option, value, fmt::join(allowed, ", ")));
}

/// Trigrams find texts of three code points or more; shorter ones take a scan.
void add_contains(const std::string& text, Condition& condition) {
  std::size_t length = 0;
  for (std::size_t at = 0; at < text.size(); ++length) next_code_point(text, at);
  if (length >= 3) {
    std::string phrase = "\"";
    for (const char c : text) {
      if (c == '"') phrase += '"';
      phrase += c;
    }
    condition.add("result_key IN (SELECT rowid FROM texts WHERE texts MATCH ?)", phrase + "\"");
    return;
  }
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  condition.add("prompt LIKE ? ESCAPE '\\' OR answer LIKE ? ESCAPE '\\'", pattern + "%");
  condition.values.push_back(pattern + "%");
}

Condition conditions(const QueryOptions& options) {
  check_value("--status", options.status, {"answered", "failed"});
  check_value("--finish-reason", options.finish_reason, {"stop", "length", "stop_string", "choice"});
  Condition condition;
  if (!options.job.empty()) condition.add("job = ?", options.job);
  if (!options.status.empty()) condition.add("status = ?", options.status);
  if (!options.finish_reason.empty()) condition.add("finish_reason = ?", options.finish_reason);
  if (!options.contains.empty()) add_contains(options.contains, condition);
  // On a line of its own, so that a comment in it ends there.
  if (!options.where.empty()) condition.add(options.where + "\n");
  return condition;
}

std::string order_by(const QueryOptions& options) {
  if (options.sort.empty()) return "job_key, position, run, sequence";
  const bool descending = options.sort[0] == '-';
  const std::string column = options.sort.substr(descending ? 1 : 0);
  check_column(column);
  return fmt::format("\"{}\"{}, job_key, position, sequence", column, descending ? " DESC" : "");
}

/// With the rows in their usual order and no filter that picks few, items lead: their index has that order,
/// so that nothing is sorted, and a limit ends the reading.
std::string tables_for(const QueryOptions& options) {
  const bool picks_few = options.status == "failed" || !options.finish_reason.empty() ||
                         !options.contains.empty() || !options.where.empty();
  if (picks_few || !options.sort.empty()) return view_tables();
  return "items i INDEXED BY items_position CROSS JOIN jobs j ON j.key = i.job_key "
         "CROSS JOIN results r INDEXED BY results_item ON r.item_key = i.key";
}

std::vector<std::string> shown_columns(const QueryOptions& options) {
  if (!options.columns.empty()) return options.columns;
  const bool for_people = options.format == OutputFormat::table || options.format == OutputFormat::markdown;
  if (!for_people) return answer_columns();
  return {"job",    "id",         "images",  "prompt",     "status",
          "answer", "references", "correct", "error_code", "error_message"};
}

std::string select_statement(const QueryOptions& options, const std::string& rows,
                             const Condition& condition) {
  std::string columns;
  for (const std::string& name : shown_columns(options)) {
    check_column(name);
    columns += fmt::format("{}\"{}\"", columns.empty() ? "" : ", ", name);
  }
  std::string inner = "r.key AS result_key, i.job_key AS job_key, i.position AS position";
  for (const auto& [name, expression] : view_columns())
    inner += fmt::format(", {} AS \"{}\"", expression, name);
  std::string sql =
      fmt::format("SELECT {} FROM (SELECT {} FROM {} WHERE {})", columns, inner, tables_for(options), rows);
  if (!condition.sql.empty()) sql += " WHERE " + condition.sql;
  sql += " ORDER BY " + order_by(options);
  if (options.limit) sql += fmt::format(" LIMIT {}", *options.limit);
  return sql;
}

void check_sql_alone(const QueryOptions& options) {
  const bool more = !options.run.empty() || !options.job.empty() || !options.status.empty() ||
                    !options.finish_reason.empty() || !options.contains.empty() || !options.where.empty() ||
                    !options.columns.empty() || !options.sort.empty() || options.limit;
  if (more) throw UsageError("--sql says all by itself: leave the other filters out");
}

}  // namespace

OutputFormat output_format(std::string_view name) {
  if (name == "table") return OutputFormat::table;
  if (name == "csv") return OutputFormat::csv;
  if (name == "json") return OutputFormat::json;
  if (name == "jsonl") return OutputFormat::jsonl;
  if (name == "markdown") return OutputFormat::markdown;
  throw UsageError(fmt::format("output format '{}' is none of table, csv, json, jsonl, markdown", name));
}

const std::vector<std::string>& answer_columns() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& [name, expression] : view_columns()) out.push_back(name);
    return out;
  }();
  return names;
}

std::uint64_t query(const std::filesystem::path& file, const QueryOptions& options, std::ostream& out) {
  const auto database = open_for_reading(file);
  database->prepare("SELECT 1 FROM texts LIMIT 0").step();  // its first use makes tables, in memory
  if (!options.sql.empty()) {
    check_sql_alone(options);
    database->forbid_writing();
    Statement statement = database->prepare_user_query(options.sql);
    return write_rows(statement, options.format, options.width, out);
  }
  const Condition condition = conditions(options);
  const std::string sql = select_statement(options, run_filter(*database, options.run), condition);
  database->forbid_writing();
  Statement statement = database->prepare_user_query(sql);
  for (std::size_t i = 0; i < condition.values.size(); ++i) {
    statement.bind(static_cast<int>(i) + 1, condition.values[i]);
  }
  return write_rows(statement, options.format, options.width, out);
}

}  // namespace mmbatch
