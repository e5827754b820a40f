#include "jobs/query/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ostream>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/base/text/lower_case.h"
#include "jobs/batch/batch_lines.h"
#include "jobs/query/row_writer.h"
#include "jobs/query/run_filter.h"
#include "jobs/query/top_values.h"
#include "jobs/query/user_sql.h"
#include "jobs/results/result_rows.h"
#include "jobs/results/schema.h"
#include "jobs/results/search/text_search.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

/// So many rows are sorted in a moment; where a filter picks more, they are read in order until the limit.
constexpr int kFewRows = 20'000;

/// A statement that is being built, with the values of its parameters.
struct Sql {
  std::vector<std::string> values;
  std::string conditions;
  std::string text_condition;  // one that takes reading texts row by row; empty: none

  /// The parameter for a value.
  std::string value(std::string text) {
    values.push_back(std::move(text));
    return fmt::format("?{}", values.size());
  }
  void add(const std::string& condition) {
    conditions += fmt::format("{}({})", conditions.empty() ? "" : " AND ", condition);
  }
  std::string all_conditions() const {
    return text_condition.empty() ? conditions : fmt::format("{} AND ({})", conditions, text_condition);
  }
};

void check_column(const std::string& name, const char* option) {
  const auto& known = answer_columns();
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  const std::string nearest = nearest_name(name, known);
  throw UsageError(fmt::format("{}: unknown column '{}'{}; columns are {}", option, name,
                               nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest),
                               fmt::join(known, ", ")));
}

void check_value(const char* option, const std::string& value, const std::vector<std::string>& allowed) {
  if (value.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  throw UsageError(fmt::format("{} '{}': must be one of {}", option, value, fmt::join(allowed, ", ")));
}

bool has_more_than_few(Database& database, const std::string& rows, const std::vector<std::string>& values) {
  Statement probe = database.prepare(fmt::format("SELECT 1 FROM {} LIMIT 1 OFFSET {}", rows, kFewRows));
  for (std::size_t i = 0; i < values.size(); ++i) probe.bind(static_cast<int>(i) + 1, values[i]);
  return probe.step();
}

/// How the rows are found: whether a filter picks so few that an index leads to them.
struct Picks {
  bool few = false;                    // by any filter
  std::optional<std::string> phrases;  // by --contains: those of the few rows, a JSON list
};

std::string outcome_condition(const QueryOptions& options, Sql& sql) {
  Sql parts;
  // Only failures have a code, and their index is small.
  if (options.status == "failed") parts.add("r.status = 'failed' AND r.error_code IS NOT NULL");
  if (options.status == "answered") parts.add("r.status = 'answered'");
  if (!options.finish_reason.empty()) {
    parts.add(
        fmt::format("r.status = 'answered' AND r.finish_reason = {}", sql.value(options.finish_reason)));
  }
  return parts.conditions;
}

/// All columns by their names, and what sorts them.
std::string named_columns(const Database& database) {
  std::string columns =
      "r.key AS result_key, r.item_key AS item_key, i.job_key AS job_key, i.position AS position";
  for (const auto& [name, expression] : view_columns(database))
    columns += fmt::format(", {} AS \"{}\"", expression, name);
  return columns;
}

/// What a user's condition may name.
std::string columns_of_conditions(const Database& database, const QueryOptions& options) {
  return fmt::format("(SELECT {}{} FROM {})", named_columns(database),
                     options.nearest ? ", 0.0 AS similarity" : "", view_tables());
}

Picks picks_of(Database& database, const QueryOptions& options, const std::string& rows) {
  Picks picks;
  if (!options.contains.empty()) {
    picks.phrases = phrases_of_few(database, options.contains, kFewRows);
    picks.few = picks.phrases.has_value();
  }
  Sql sql;
  const std::string outcome = outcome_condition(options, sql);
  if (!picks.few && !outcome.empty()) {
    picks.few =
        !has_more_than_few(database, fmt::format("results r WHERE {} AND {}", rows, outcome), sql.values);
  }
  if (!picks.few && !options.where.empty()) {
    picks.few = database.plans_search(fmt::format("SELECT 1 FROM {} WHERE ({}\n)",
                                                  columns_of_conditions(database, options), options.where));
  }
  return picks;
}

void add_filters(const QueryOptions& options, const std::string& rows, const Picks& picks, Sql& sql) {
  sql.add(rows);
  if (!options.job.empty())
    sql.add(fmt::format("i.job_key = (SELECT key FROM jobs WHERE name = {})", sql.value(options.job)));
  const std::string outcome = outcome_condition(options, sql);
  if (!outcome.empty()) sql.add(outcome);
  if (options.contains.empty()) return;
  if (picks.phrases) {
    const std::string phrases = fmt::format("SELECT value FROM json_each({})", sql.value(*picks.phrases));
    sql.add(fmt::format(
        "r.key IN (SELECT r.key FROM results r WHERE r.answer_phrase IN ({0}) UNION SELECT r.key FROM "
        "items i CROSS JOIN results r ON r.item_key = i.key WHERE i.prompt_phrase IN ({0}))",
        phrases));
  } else {
    const std::string text = sql.value(options.contains);
    sql.text_condition =
        fmt::format("contains_text({1}, {0}) OR contains_text(r.answer, {0})", text, prompt_sql());
  }
}

std::vector<std::string> shown_columns(const QueryOptions& options) {
  if (!options.columns.empty()) return options.columns;
  if (options.nearest) return {"job", "id", "images", "prompt"};
  const bool for_people =
      options.style.format == OutputFormat::table || options.style.format == OutputFormat::markdown;
  if (!for_people) return answer_columns();
  return {"job",    "id",         "images",  "prompt",     "status",
          "answer", "references", "correct", "error_code", "error_message"};
}

std::string limit_of(const QueryOptions& options) {
  return options.limit ? fmt::format(" LIMIT {}", *options.limit) : "";
}

/// The user's condition. On a line of its own, so that a comment in it ends there.
std::string where_of(const QueryOptions& options) {
  return options.where.empty() ? "" : fmt::format(" WHERE ({}\n)", options.where);
}

/// In the usual order. Where no filter picks few rows, items lead: their index has that order, so that
/// nothing is sorted, and a limit ends the reading.
std::string ordered_rows(const Database& database, const QueryOptions& options, const Sql& sql,
                         const Picks& picks) {
  const std::string tables = picks.few
                                 ? view_tables()
                                 : "items i INDEXED BY items_position CROSS JOIN jobs j ON j.key = i.job_key "
                                   "CROSS JOIN results r INDEXED BY results_item ON r.item_key = i.key";
  return fmt::format("(SELECT {} FROM {} WHERE {}){} ORDER BY job_key, position, run, sequence{}",
                     named_columns(database), tables, sql.all_conditions(), where_of(options),
                     limit_of(options));
}

/// Sorted by a column. The rows that the limit leaves are found first, from as few tables as will do; their
/// other columns are read afterwards.
std::string sorted_rows(Database& database, const QueryOptions& options, const Sql& sql) {
  const bool descending = options.sort[0] == '-';
  const std::string column = options.sort.substr(descending ? 1 : 0);
  if (column.empty())
    throw UsageError("--sort: '-' alone names no column: '-NAME' sorts by NAME, the largest first");
  check_column(column, "--sort");
  const std::string order = fmt::format("\"{}\"{}, item_key, sequence", column, descending ? " DESC" : "");
  if (!options.limit) {
    return fmt::format("(SELECT {} FROM {} WHERE {}){} ORDER BY {}", named_columns(database), view_tables(),
                       sql.all_conditions(), where_of(options), order);
  }
  const auto known = view_columns(database);
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const auto& entry) { return entry.first == column; });
  const auto needs = [&](const char* table) {
    return !options.where.empty() || sql.all_conditions().find(table) != std::string::npos ||
           found->second.find(table) != std::string::npos;
  };
  std::string tables = "results r";
  std::string columns = "r.key AS result_key, r.item_key AS item_key, r.sequence AS sequence";
  if (needs("j.")) {
    tables = view_tables();
    columns = named_columns(database);
  } else {
    if (options.run.empty() && options.status.empty() && options.finish_reason.empty())
      tables += " NOT INDEXED";
    if (needs("i.")) tables += " CROSS JOIN items i ON i.key = r.item_key";
    if (column != "sequence") columns += fmt::format(", {} AS \"{}\"", found->second, column);
  }
  std::string conditions = sql.all_conditions();
  if (!sql.text_condition.empty() && options.where.empty()) {
    // Texts are read only of rows that can be among the first.
    add_top_values(database, *options.limit, descending ? SortOrder::descending : SortOrder::ascending);
    conditions = fmt::format("{} AND may_be_first({}) AND CASE WHEN {} THEN count_first({}) ELSE 0 END",
                             sql.conditions, found->second, conditions, found->second);
  }
  const std::string first =
      fmt::format("SELECT result_key FROM (SELECT {} FROM {} WHERE {}){} ORDER BY {}{}", columns, tables,
                  conditions, where_of(options), order, limit_of(options));
  return fmt::format("(SELECT {} FROM {} WHERE r.key IN ({})) ORDER BY {}", named_columns(database),
                     view_tables(), first, order);
}

/// Rows with an embedding of the same model, by their similarity. Embeddings are read in one pass; the other
/// columns only of the rows that the limit leaves, unless the user's condition asks for them.
std::string nearest_rows(const Database& database, const QueryOptions& options, const Sql& sql,
                         const NearestTarget& target) {
  const std::string similarity = fmt::format("cosine(e.vector, ?{}) AS similarity", sql.values.size() + 1);
  const std::string order = "similarity DESC, job_key, position, sequence";
  const std::string conditions = fmt::format(
      "{} AND e.width = {} AND r.key <> {} AND r.run_key IN (SELECT key FROM runs WHERE model_key = {})",
      sql.all_conditions(), target.embedding.size(), target.result_key, target.model_key);
  const std::string tables =
      "embeddings e CROSS JOIN results r ON r.key = e.result_key CROSS JOIN items i ON i.key = r.item_key";
  if (!options.limit || !options.where.empty()) {
    return fmt::format("(SELECT {}, {} FROM {} JOIN jobs j ON j.key = i.job_key WHERE {}){} ORDER BY {}{}",
                       named_columns(database), similarity, tables, conditions, where_of(options), order,
                       limit_of(options));
  }
  const std::string first = fmt::format(
      "SELECT r.key AS nearest_key, i.job_key AS job_key, i.position AS position, r.sequence AS sequence, {} "
      "FROM {} WHERE {} ORDER BY {}{}",
      similarity, tables, conditions, order, limit_of(options));
  return fmt::format("(SELECT {}, similarity FROM ({}) CROSS JOIN {} WHERE r.key = nearest_key) ORDER BY {}",
                     named_columns(database), first, view_tables(), order);
}

/// What is selected of the rows.
std::string selected_columns(const QueryOptions& options) {
  if (options.style.format == OutputFormat::openai) return "result_key";
  std::string columns = options.nearest ? "similarity" : "";
  for (const std::string& name : shown_columns(options)) {
    check_column(name, "--columns");
    columns += fmt::format("{}\"{}\"", columns.empty() ? "" : ", ", name);
  }
  return columns;
}

Statement select_rows(Database& database, const QueryOptions& options) {
  check_value("--status", options.status, {"answered", "failed"});
  check_value("--finish-reason", options.finish_reason,
              {"stop", "length", "stop_string", "choice", "repetition"});
  const std::string columns = selected_columns(options);
  const std::string rows = run_filter(database, options.run);
  check_job(database, options.job);
  allow_reading_only(database);
  if (!options.where.empty())
    check_condition(database, options.where, columns_of_conditions(database, options));
  const Picks picks = picks_of(database, options, rows);
  Sql sql;
  add_filters(options, rows, picks, sql);
  const std::string found = options.nearest        ? nearest_rows(database, options, sql, *options.nearest)
                            : options.sort.empty() ? ordered_rows(database, options, sql, picks)
                                                   : sorted_rows(database, options, sql);
  std::string select = fmt::format("SELECT {} FROM {}", columns, found);
  if (options.style.format == OutputFormat::openai) {
    select = fmt::format(
        "SELECT {} FROM {} WHERE r.key IN ({}) ORDER BY i.job_key, i.position, r.run_key, "
        "r.item_key, r.sequence",
        BatchLines::columns(database), BatchLines::tables(), select);
  }
  Statement statement = database.prepare_user_query(select);
  for (std::size_t i = 0; i < sql.values.size(); ++i) statement.bind(static_cast<int>(i) + 1, sql.values[i]);
  if (options.nearest) {
    statement.bind_blob(static_cast<int>(sql.values.size()) + 1, embedding_bytes(options.nearest->embedding));
  }
  return statement;
}

std::uint64_t write_batch_lines(Statement& statement, std::ostream& out) {
  BatchLines lines;
  std::uint64_t count = 0;
  const auto write = [&](const std::optional<std::string>& line) {
    if (!line) return;
    out << *line << '\n';
    ++count;
  };
  while (statement.step()) write(lines.add(statement));
  write(lines.end());
  return count;
}

/// The form of a line is given, and so is the order in which its parts come.
void check_openai(const QueryOptions& options) {
  if (!options.columns.empty() || !options.sort.empty() || !options.sql.empty() || options.nearest) {
    throw UsageError(
        "--format openai has lines of its own: leave --columns, --sort, --sql and --nearest out");
  }
}

void check_sql_alone(const QueryOptions& options) {
  const bool more = !options.run.empty() || !options.job.empty() || !options.status.empty() ||
                    !options.finish_reason.empty() || !options.contains.empty() || !options.where.empty() ||
                    !options.columns.empty() || !options.sort.empty() || options.limit || options.nearest;
  if (more) throw UsageError("--sql says everything itself: leave the other filters out");
}

}  // namespace

OutputFormat output_format(std::string_view name) {
  if (name == "table") return OutputFormat::table;
  if (name == "csv") return OutputFormat::csv;
  if (name == "json") return OutputFormat::json;
  if (name == "jsonl") return OutputFormat::jsonl;
  if (name == "markdown") return OutputFormat::markdown;
  if (name == "openai") return OutputFormat::openai;
  throw UsageError(
      fmt::format("--format '{}': must be one of table, csv, json, jsonl, markdown, openai", name));
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
  if (options.style.format == OutputFormat::openai) check_openai(options);
  if (options.nearest && !options.sort.empty())
    throw UsageError("--sort: --nearest has the most similar first already");
  const auto database = open_for_reading(file);
  add_cosine(*database);
  if (!options.sql.empty()) {
    check_sql_alone(options);
    allow_reading_only(*database);
    Statement statement = prepare_select(*database, options.sql);
    return write_rows(statement, options.style, out);
  }
  // Most of the file is embeddings then: they are compared where they are, not copied first.
  if (options.nearest) database->run("PRAGMA mmap_size = 17179869184");
  Statement statement = select_rows(*database, options);
  if (options.style.format == OutputFormat::openai) return write_batch_lines(statement, out);
  return write_rows(statement, options.style, out);
}

}  // namespace mmbatch
