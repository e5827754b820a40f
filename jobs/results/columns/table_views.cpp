#include "jobs/results/columns/table_views.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "engine/base/sha256.h"
#include "jobs/results/columns/schema_columns.h"

namespace mmbatch {
namespace {

constexpr const char* kPrefix = "table_";
constexpr const char* kCurrent = "r.current = 1";

/// Between two marks, with those inside doubled.
std::string quoted(const std::string& text, char mark) {
  std::string out(1, mark);
  for (const char c : text) out += c == mark ? std::string(2, mark) : std::string(1, c);
  return out + mark;
}

/// Names that differ in more than upper and lower case.
class Names {
 public:
  std::string unique(const std::string& name) {
    std::string out = name;
    for (int i = 2; !used_.insert(folded(out)).second; ++i) out = fmt::format("{}_{}", name, i);
    return out;
  }

 private:
  /// As SQLite compares names.
  static std::string folded(std::string name) {
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return name;
  }

  std::set<std::string> used_;
};

/// The value behind some keys of a JSON value.
std::string value_at(const std::string& json, const std::vector<std::string>& path) {
  std::string simple = "$";
  for (const std::string& key : path) {
    // Paths have no way to write these; such keys are looked for one by one.
    if (key.find_first_of("\"\\") != std::string::npos) {
      std::string at = json;
      for (const std::string& one : path)
        at = fmt::format("(SELECT value FROM json_each({}) WHERE key = {})", at, sql_text(one));
      return at;
    }
    simple += ".\"" + key + "\"";
  }
  return fmt::format("json_extract({}, {})", json, sql_text(simple));
}

/// The queries of a job's tables, from the outermost on.
class Tables {
 public:
  explicit Tables(std::string answers) : answers_(std::move(answers)) {}

  std::vector<AnswerTable> of(const SchemaTable& table) {
    add(table, "", answers_ + " AS a",
        {{"run", "a.run"},
         {"id", "a.id"},
         {"status", "a.status"},
         {"error_code", "a.error_code"},
         {"sequence", "a.sequence"}},
        "a.answer", 0);
    return std::move(tables_);
  }

 private:
  using Columns = std::vector<std::pair<std::string, std::string>>;  // name, expression

  void add(const SchemaTable& table, const std::string& list, const std::string& from, const Columns& keys,
           const std::string& value, int depth) {
    AnswerTable& out = tables_.emplace_back();
    out.list = list;
    Names names;
    std::string columns;
    const auto add_column = [&](const std::string& column, const std::string& expression) {
      out.columns.push_back(names.unique(column));
      columns +=
          fmt::format("{}{} AS {}", columns.empty() ? "" : ", ", expression, sql_name(out.columns.back()));
    };
    for (const auto& [column, expression] : keys) add_column(column, expression);
    out.keys = out.columns.size();
    for (const SchemaColumn& column : table.columns) {
      const std::string at = column.path.empty() ? element(value, depth) : value_at(value, column.path);
      add_column(column.name(),
                 column.type == SchemaColumn::Type::real ? fmt::format("CAST({} AS REAL)", at) : at);
    }
    out.sql = fmt::format("SELECT {} FROM {}", columns, from);
    Names child_names;
    for (const SchemaTable& child : table.children) {
      const std::string each = fmt::format("e{}", depth + 1);
      const std::string elements = child.list.empty() ? value : value_at(value, child.list);
      Columns child_keys = keys;
      for (auto& [column, expression] : child_keys) {
        if (column == "position") column = table.name() + ".position";
      }
      std::erase_if(child_keys,
                    [](const auto& key) { return key.first == "status" || key.first == "error_code"; });
      child_keys.emplace_back("position", each + ".key");
      add(child, (list.empty() ? "" : list + ".") + child_names.unique(child.name()),
          fmt::format("{}, json_each({}) AS {}", from, elements, each), child_keys, each + ".value",
          depth + 1);
    }
  }

  /// The value itself: an element of a list, or a whole answer.
  static std::string element(const std::string& value, int depth) {
    return depth > 0 ? value : fmt::format("json_extract({}, '$')", value);
  }

  std::string answers_;
  std::vector<AnswerTable> tables_;
};

std::string view_name(const std::string& job, const AnswerTable& table) {
  return kPrefix + job + (table.list.empty() ? "" : "." + table.list);
}

void drop_views(Database& database, const std::string& root) {
  std::vector<std::string> old;
  for (const std::string& view : table_views(database)) {
    if (view == root || view.starts_with(root + ".")) old.push_back(view);
  }
  for (const std::string& view : old) database.run("DROP VIEW " + sql_name(view));
}

}  // namespace

std::string sql_name(const std::string& name) {
  return quoted(name, '"');
}

std::string sql_text(const std::string& text) {
  return quoted(text, '\'');
}

std::vector<std::string> table_views(Database& database) {
  Statement views = database.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'view' AND substr(name, 1, 6) = 'table_' ORDER BY rowid");
  std::vector<std::string> out;
  while (views.step()) out.emplace_back(views.text(0));
  return out;
}

std::optional<AnswerTable> find_answer_table(Database& database, const std::string& view) {
  Statement jobs = database.prepare(
      "SELECT j.key, j.name, s.text FROM jobs j JOIN schemas s ON s.key = j.schema_key ORDER BY j.key");
  while (jobs.step()) {
    const std::string name(jobs.text(1));
    if (view != kPrefix + name && !view.starts_with(kPrefix + name + ".")) continue;
    for (AnswerTable& table : answer_tables(std::string(jobs.text(2)), jobs.integer(0), kCurrent)) {
      if (view_name(name, table) == view) return std::move(table);
    }
  }
  return std::nullopt;
}

std::vector<AnswerTable> answer_tables(const std::string& schema, std::int64_t job,
                                       const std::string& filter) {
  return Tables(fmt::format(
                    "(SELECT r.run_key AS run, i.id AS id, r.status AS status, r.error_code AS error_code, "
                    "r.sequence AS sequence, CASE WHEN r.status = 'answered' AND json_valid(r.answer) THEN "
                    "r.answer END AS answer FROM results r JOIN items i ON i.key = r.item_key WHERE {} AND "
                    "i.job_key = {})",
                    filter, job))
      .of(columns_of_schema(schema));
}

void keep_job_schema(Database& database, std::int64_t job, const std::string& name,
                     const std::string& schema) {
  if (schema.empty()) return;
  Sha256 hash;
  hash.field(schema);
  const std::string sha256 = hash.hex();
  database.prepare("INSERT INTO schemas(sha256, text) VALUES(?1, ?2) ON CONFLICT(sha256) DO NOTHING")
      .bind(1, sha256)
      .bind(2, schema)
      .run();
  Statement known = database.prepare(
      "SELECT 1 FROM jobs j JOIN schemas s ON s.key = j.schema_key WHERE j.key = ?1 AND s.sha256 = ?2");
  if (known.bind(1, job).bind(2, sha256).step()) return;
  known.reset();
  database.prepare("UPDATE jobs SET schema_key = (SELECT key FROM schemas WHERE sha256 = ?2) WHERE key = ?1")
      .bind(1, job)
      .bind(2, sha256)
      .run();
  const std::string root = kPrefix + name;
  drop_views(database, root);
  for (const AnswerTable& table : answer_tables(schema, job, kCurrent))
    database.run(fmt::format("CREATE VIEW {} AS {}", sql_name(view_name(name, table)), table.sql));
}

}  // namespace mmbatch
