#include "jobs/results/table_check.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <sstream>
#include <string_view>

#include "engine/base/text/visible.h"
#include "jobs/results/database_error.h"

namespace mmbatch {
namespace {

using Kind = ExpectedObject::Kind;

[[noreturn]] void throw_changed(const Database& database, const std::string& what) {
  throw DatabaseError(
      fmt::format("{}: another program changed the tables of this database: {}; go back to a copy, or choose "
                  "another file",
                  database.file().string(), what));
}

std::string_view word(Kind kind) {
  return kind == Kind::index || kind == Kind::unique_index ? "index" : "table";
}

}  // namespace

const std::vector<ExpectedObject>& expected_objects() {
  static const std::vector<ExpectedObject> objects = {
      {Kind::table, "models", 1, "key folder fingerprint family precision details"},
      {Kind::table, "runs", 1,
       "key identity manifest model_key settings environment version machine status started ended resumed "
       "stats"},
      {Kind::table, "jobs", 1, "key name task"},
      {Kind::table, "jobs", 7, "schema_key"},
      {Kind::table, "jobs", 8, "fields"},
      {Kind::table, "items", 1,
       "key job_key id variant position task prompt images image_sha256 references question_type answer_type "
       "metadata digest"},
      {Kind::table, "items", 3, "prompt_phrase"},
      {Kind::table, "items", 8, "request document page frame_times"},
      {Kind::table, "results", 1,
       "key run_key item_key sequence current status answer finish_reason correct score logprob "
       "prompt_tokens "
       "answer_tokens error_stage error_code error_message vision_ms text_ms queue_ms prefill_ms decode_ms "
       "total_ms created details content_key"},
      {Kind::table, "results", 3, "answer_phrase"},
      {Kind::table, "results", 4, "probabilities"},
      {Kind::table, "results", 6, "reasoning reasoning_tokens"},
      {Kind::table, "results", 9, "regions"},
      {Kind::table, "results", 10, "closed"},
      {Kind::table, "image_digests", 2, "path size modified_ns changed_ns inode sha256"},
      {Kind::table, "phrases", 3, "key text"},
      {Kind::table, "phrases", 5, "digest indexed"},
      {Kind::table, "embeddings", 4, "result_key width vector"},
      {Kind::table, "schemas", 7, "key sha256 text"},
      {Kind::search, "texts", 3, "text"},
      {Kind::index, "runs_identity", 1, "runs(identity)"},
      {Kind::index, "items_position", 1, "items(job_key, position)"},
      {Kind::index, "items_phrase", 3, "items(prompt_phrase)"},
      {Kind::index, "results_item", 1, "results(item_key, run_key)"},
      {Kind::index, "results_content", 1, "results(content_key) WHERE content_key IS NOT NULL"},
      {Kind::index, "results_run", 1, "results(run_key)"},
      {Kind::index, "results_status", 1, "results(status, finish_reason) WHERE current = 1"},
      {Kind::index, "results_errors", 1,
       "results(run_key, error_stage, error_code) WHERE error_code IS NOT NULL"},
      {Kind::index, "results_phrase", 3, "results(answer_phrase) WHERE answer_phrase IS NOT NULL"},
      {Kind::unique_index, "phrases_digest", 5, "phrases(digest) WHERE digest IS NOT NULL"},
      {Kind::index, "phrases_cut", 5, "phrases(key) WHERE indexed IS NOT NULL"},
  };
  return objects;
}

void check_tables(Database& database, std::int64_t version) {
  struct Found {
    std::string type, sql;
  };
  std::map<std::string, Found, std::less<>> found;
  {
    Statement rows =
        database.prepare("SELECT name, type, coalesce(substr(sql, 1, 16), '') FROM sqlite_schema");
    while (rows.step())
      found[std::string(rows.text(0))] = {std::string(rows.text(1)), std::string(rows.text(2))};
  }
  for (const ExpectedObject& expected : expected_objects()) {
    if (expected.since > version) continue;
    const auto there = found.find(expected.name);
    if (there == found.end() && word(expected.kind) == "index") {
      throw_changed(
          database,
          fmt::format("the index {0} is missing (CREATE {1}INDEX {0} ON {2} makes it again)", expected.name,
                      expected.kind == Kind::unique_index ? "UNIQUE " : "", expected.details));
    }
    if (there == found.end()) throw_changed(database, fmt::format("the table {} is missing", expected.name));
    const bool is_virtual = there->second.sql.rfind("CREATE VIRTUAL", 0) == 0;
    if (there->second.type != word(expected.kind) || is_virtual != (expected.kind == Kind::search)) {
      throw_changed(database, fmt::format("{} is a {}{}", expected.name, is_virtual ? "virtual " : "",
                                          visible_line(there->second.type)));
    }
    // SQLite knows the columns of a virtual table only once it was used, and reading may not need it.
    if (expected.kind != Kind::table) continue;
    std::istringstream columns(expected.details);
    for (std::string column; columns >> column;) {
      if (!database.has_column(expected.name, column.c_str()))
        throw_changed(database, fmt::format("the table {} has no column {}", expected.name, column));
    }
  }
}

void check_triggers(Database& database) {
  Statement rows = database.prepare(
      "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name <> 'embeddings_removed'");
  const auto is_ours = [](std::string_view table) {
    return std::any_of(expected_objects().begin(), expected_objects().end(),
                       [&](const ExpectedObject& object) {
                         return word(object.kind) == "table" && table.size() == std::strlen(object.name) &&
                                ::strncasecmp(table.data(), object.name, table.size()) == 0;
                       });
  };
  do {
    if (!rows.step()) return;
  } while (!is_ours(rows.text(1)));
  throw DatabaseError(
      fmt::format("{}: the trigger {} on {} is not this program's, and could change or drop what is stored: "
                  "remove it (DROP "
                  "TRIGGER), or choose another file",
                  database.file().string(), visible_line(rows.text(0)), visible_line(rows.text(1))));
}

}  // namespace mmbatch
