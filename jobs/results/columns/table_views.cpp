#include "jobs/results/columns/table_views.h"

#include <fmt/format.h>

#include <set>

#include "engine/base/sha256.h"
#include "jobs/results/columns/schema_columns.h"

namespace mmbatch {
namespace {

constexpr const char* kPrefix = "table_";

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

class Views {
 public:
  Views(Database& database, std::int64_t job, const std::string& name)
      : database_(database), job_(job), root_(kPrefix + name) {}

  void drop() {
    std::vector<std::string> old;
    for (const std::string& view : table_views(database_)) {
      if (view == root_ || view.starts_with(root_ + ".")) old.push_back(view);
    }
    for (const std::string& view : old) database_.run("DROP VIEW " + sql_name(view));
  }

  void create(const SchemaTable& table) {
    const std::string answers = fmt::format(
        "(SELECT r.run_key AS run, i.id AS id, r.status AS status, r.error_code AS error_code, r.sequence AS "
        "sequence, CASE WHEN r.status = 'answered' AND json_valid(r.answer) THEN r.answer END AS answer "
        "FROM results r JOIN items i ON i.key = r.item_key WHERE r.current = 1 AND i.job_key = {})",
        job_);
    create(table, root_, answers + " AS a",
           {{"run", "a.run"},
            {"id", "a.id"},
            {"status", "a.status"},
            {"error_code", "a.error_code"},
            {"sequence", "a.sequence"}},
           "a.answer", 0);
  }

 private:
  using Columns = std::vector<std::pair<std::string, std::string>>;  // name, expression

  void create(const SchemaTable& table, const std::string& name, const std::string& from, const Columns& keys,
              const std::string& value, int depth) {
    Names names;
    std::string columns;
    const auto add = [&](const std::string& column, const std::string& expression) {
      columns +=
          fmt::format("{}{} AS {}", columns.empty() ? "" : ", ", expression, sql_name(names.unique(column)));
    };
    for (const auto& [column, expression] : keys) add(column, expression);
    for (const SchemaColumn& column : table.columns) {
      const std::string at = column.path.empty() ? element(value, depth) : value_at(value, column.path);
      add(column.name(), column.type == SchemaColumn::Type::real ? fmt::format("CAST({} AS REAL)", at) : at);
    }
    database_.run(fmt::format("CREATE VIEW {} AS SELECT {} FROM {}", sql_name(name), columns, from));
    Names child_names;
    for (const SchemaTable& child : table.children) {
      const std::string each = fmt::format("e{}", depth + 1);
      const std::string list = child.list.empty() ? value : value_at(value, child.list);
      Columns child_keys = keys;
      for (auto& [column, expression] : child_keys) {
        if (column == "position") column = table.name() + ".position";
      }
      std::erase_if(child_keys,
                    [](const auto& key) { return key.first == "status" || key.first == "error_code"; });
      child_keys.emplace_back("position", each + ".key");
      create(child, name + "." + child_names.unique(child.name()),
             fmt::format("{}, json_each({}) AS {}", from, list, each), child_keys, each + ".value",
             depth + 1);
    }
  }

  /// The value itself: an element of a list, or a whole answer.
  static std::string element(const std::string& value, int depth) {
    return depth > 0 ? value : fmt::format("json_extract({}, '$')", value);
  }

  Database& database_;
  std::int64_t job_;
  std::string root_;
};

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
  Views views(database, job, name);
  views.drop();
  views.create(columns_of_schema(schema));
}

}  // namespace mmbatch
