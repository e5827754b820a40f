#include "jobs/results/schema.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <tuple>

#include "jobs/results/database_error.h"
#include "jobs/results/table_check.h"

namespace mmbatch {
namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE models(
  key INTEGER PRIMARY KEY,
  folder TEXT NOT NULL, fingerprint TEXT NOT NULL, family TEXT NOT NULL, precision TEXT NOT NULL,
  details TEXT NOT NULL,
  UNIQUE(fingerprint, precision));

CREATE TABLE runs(
  key INTEGER PRIMARY KEY,
  identity TEXT NOT NULL,            -- SHA-256 of manifest path, model, precision and settings
  manifest TEXT NOT NULL,
  model_key INTEGER NOT NULL REFERENCES models(key),
  settings TEXT NOT NULL,            -- JSON, shapes answers
  environment TEXT NOT NULL,         -- JSON, does not
  version TEXT NOT NULL, machine TEXT NOT NULL,
  status TEXT NOT NULL,              -- running | finished | interrupted | failed
  started TEXT NOT NULL, ended TEXT,
  resumed INTEGER NOT NULL DEFAULT 0,
  stats TEXT);
CREATE INDEX runs_identity ON runs(identity);

CREATE TABLE jobs(
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE, task TEXT NOT NULL);

CREATE TABLE items(
  key INTEGER PRIMARY KEY,
  job_key INTEGER NOT NULL REFERENCES jobs(key),
  id TEXT NOT NULL,
  variant INTEGER NOT NULL,          -- 0, or the position of a further item with the same id
  position INTEGER NOT NULL,
  task TEXT NOT NULL,
  prompt TEXT NOT NULL,
  images TEXT NOT NULL,              -- JSON list of paths as written
  image_sha256 TEXT NOT NULL,        -- JSON list
  "references" TEXT NOT NULL,        -- JSON list
  question_type TEXT, answer_type TEXT,
  metadata TEXT,                     -- JSON
  digest BLOB NOT NULL,              -- of the columns from task on
  UNIQUE(id, job_key, variant, digest));
CREATE INDEX items_position ON items(job_key, position);

CREATE TABLE results(
  key INTEGER PRIMARY KEY,
  run_key INTEGER NOT NULL REFERENCES runs(key),
  item_key INTEGER NOT NULL REFERENCES items(key),
  sequence INTEGER NOT NULL,
  current INTEGER NOT NULL,          -- 1: the item's latest outcome, 0: of its run, -1: replaced in its run
  status TEXT NOT NULL,              -- answered | failed
  answer TEXT, finish_reason TEXT, correct INTEGER, score REAL, logprob REAL,
  prompt_tokens INTEGER, answer_tokens INTEGER,
  error_stage TEXT, error_code TEXT, error_message TEXT,
  vision_ms REAL, text_ms REAL, queue_ms REAL, prefill_ms REAL, decode_ms REAL, total_ms REAL,
  created TEXT NOT NULL,
  details TEXT,                      -- JSON: token log-probabilities, probabilities of choices
  content_key BLOB);                 -- SHA-256 of all that the answer depends on
CREATE INDEX results_item ON results(item_key, run_key);
CREATE INDEX results_content ON results(content_key) WHERE content_key IS NOT NULL;
CREATE INDEX results_run ON results(run_key);
CREATE INDEX results_status ON results(status, finish_reason) WHERE current = 1;
CREATE INDEX results_errors ON results(run_key, error_stage, error_code) WHERE error_code IS NOT NULL;
)sql";

// Replaced by kPhrases.
constexpr const char* kSearch = R"sql(
CREATE VIEW results_text AS
  SELECT r.key AS key, i.prompt AS prompt, r.answer AS answer FROM results r JOIN items i ON i.key = r.item_key;
CREATE VIRTUAL TABLE texts USING fts5(
  prompt, answer, content='results_text', content_rowid='key', tokenize='trigram');
INSERT INTO texts(texts) VALUES('rebuild');
CREATE TRIGGER results_added AFTER INSERT ON results BEGIN
  INSERT INTO texts(rowid, prompt, answer)
    VALUES(new.key, (SELECT prompt FROM items WHERE key = new.item_key), new.answer);
END;
CREATE TRIGGER results_removed AFTER DELETE ON results BEGIN
  INSERT INTO texts(texts, rowid, prompt, answer)
    VALUES('delete', old.key, (SELECT prompt FROM items WHERE key = old.item_key), old.answer);
END;
CREATE TABLE image_digests(
  path TEXT PRIMARY KEY,
  size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
  sha256 TEXT NOT NULL) WITHOUT ROWID;
)sql";

// Each distinct text is indexed once, by the writer itself: triggers on virtual tables make every row a
// savepoint, at which the index writes out what it gathered. Phrases stay when the rows that had them go.
constexpr const char* kPhrases = R"sql(
DROP TRIGGER results_added;
DROP TRIGGER results_removed;
DROP TABLE texts;
DROP VIEW results_text;
CREATE TABLE phrases(
  key INTEGER PRIMARY KEY,
  text TEXT NOT NULL);               -- a prompt or an answer
INSERT INTO phrases(text) SELECT prompt FROM items UNION SELECT answer FROM results WHERE answer IS NOT NULL;
CREATE INDEX phrases_text ON phrases(text);
ALTER TABLE items ADD COLUMN prompt_phrase INTEGER REFERENCES phrases(key);
ALTER TABLE results ADD COLUMN answer_phrase INTEGER REFERENCES phrases(key);
UPDATE items SET prompt_phrase = (SELECT key FROM phrases WHERE text = prompt);
UPDATE results SET answer_phrase = (SELECT key FROM phrases WHERE text = answer) WHERE answer IS NOT NULL;
DROP INDEX phrases_text;
CREATE INDEX items_phrase ON items(prompt_phrase);
CREATE INDEX results_phrase ON results(answer_phrase) WHERE answer_phrase IS NOT NULL;
CREATE VIRTUAL TABLE texts USING fts5(text, content='phrases', content_rowid='key', tokenize='trigram');
INSERT INTO texts(texts) VALUES('rebuild');
)sql";

// Whoever has embeddings has one a result; they are read apart from the other columns.
constexpr const char* kEmbeddings = R"sql(
ALTER TABLE results ADD COLUMN probabilities TEXT;  -- JSON: label to probability, the likeliest first
CREATE TABLE embeddings(
  result_key INTEGER PRIMARY KEY REFERENCES results(key),
  width INTEGER NOT NULL,
  vector BLOB NOT NULL);             -- float32, little-endian, of length 1
CREATE TRIGGER embeddings_removed AFTER DELETE ON results BEGIN
  DELETE FROM embeddings WHERE result_key = old.key;
END;
CREATE VIEW vectors AS
  SELECT r.run_key AS run, j.name AS job, i.id AS id, i.images AS images, i.prompt AS prompt, e.width AS width,
         e.vector AS vector
  FROM embeddings e JOIN results r ON r.key = e.result_key JOIN items i ON i.key = r.item_key
       JOIN jobs j ON j.key = i.job_key
  WHERE r.current = 1;
DROP VIEW answers;
DROP VIEW history;
)sql";

// A long prompt is stored once in phrases, and is found there again by its SHA-256; of very long texts the
// index has the beginning. Rows of earlier versions stay as they are.
constexpr const char* kLongPrompts = R"sql(
ALTER TABLE phrases ADD COLUMN digest BLOB;      -- SHA-256 of a long text
ALTER TABLE phrases ADD COLUMN indexed INTEGER;  -- so many bytes of it are in texts; NULL: all
CREATE UNIQUE INDEX phrases_digest ON phrases(digest) WHERE digest IS NOT NULL;
CREATE INDEX phrases_cut ON phrases(key) WHERE indexed IS NOT NULL;
DROP VIEW answers;
DROP VIEW history;
DROP VIEW vectors;
)sql";

// What a model thought before its answer.
constexpr const char* kAddReasoning = R"sql(
ALTER TABLE results ADD COLUMN reasoning TEXT;
ALTER TABLE results ADD COLUMN reasoning_tokens INTEGER;
DROP VIEW answers;
DROP VIEW history;
)sql";

// What a job's answers are held to: its views are made of it (columns/table_views.h).
constexpr const char* kSchemas = R"sql(
CREATE TABLE schemas(
  key INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL);               -- JSON Schema
ALTER TABLE jobs ADD COLUMN schema_key INTEGER;  -- of schemas
)sql";

// Where an item comes from and how it wants to be answered.
constexpr const char* kSources = R"sql(
ALTER TABLE items ADD COLUMN request TEXT;       -- JSON: how a batch line wants to be answered
ALTER TABLE items ADD COLUMN document TEXT;      -- as written, of items that show pages of a file
ALTER TABLE items ADD COLUMN page INTEGER;
ALTER TABLE items ADD COLUMN frame_times TEXT;   -- JSON list of seconds
ALTER TABLE jobs ADD COLUMN fields TEXT;         -- JSON: how fields are compared with those of references
DROP VIEW answers;
DROP VIEW history;
)sql";

// Where something is in a picture, as JSON, and as rows: in pixels of the picture.
constexpr const char* kAddRegions = R"sql(
ALTER TABLE results ADD COLUMN regions TEXT;  -- JSON list
CREATE VIEW regions AS
  SELECT r.run_key AS run, j.name AS job, i.id AS item, json_extract(i.images, '$[0]') AS image,
         r.sequence AS sequence, e.key AS number, json_extract(e.value, '$.label') AS label,
         json_extract(e.value, '$.kind') AS kind, json_extract(e.value, '$.x1') AS x1,
         json_extract(e.value, '$.y1') AS y1, json_extract(e.value, '$.x2') AS x2,
         json_extract(e.value, '$.y2') AS y2, json_extract(e.value, '$.points') AS points,
         json_extract(e.value, '$.width') AS width, json_extract(e.value, '$.height') AS height
  FROM results r JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key, json_each(r.regions) e
  WHERE r.current = 1 AND r.regions IS NOT NULL;
)sql";

// Whether an answer was brought to its end by force, before max_new_tokens cut it.
constexpr const char* kAddClosed = R"sql(
ALTER TABLE results ADD COLUMN closed INTEGER;  -- 1 or 0; NULL where answers are not closed
DROP VIEW answers;
DROP VIEW history;
)sql";

std::string vectors() {
  return fmt::format(
      "CREATE VIEW vectors AS SELECT r.run_key AS run, j.name AS job, i.id AS id, i.images AS images, {} AS "
      "prompt, e.width AS width, e.vector AS vector FROM embeddings e JOIN results r ON r.key = e.result_key "
      "JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key WHERE r.current = 1;",
      prompt_sql());
}

std::string views() {
  std::string columns;
  for (const auto& [name, expression] : view_columns()) {
    columns += fmt::format("{}{} AS \"{}\"", columns.empty() ? "" : ", ", expression, name);
  }
  return fmt::format(
      "CREATE VIEW history AS SELECT {0} FROM {1};"
      "CREATE VIEW answers AS SELECT {0} FROM {1} WHERE r.current = 1;",
      columns, view_tables());
}

/// Step i brings a database from version i to i + 1. Steps that were released are never changed.
/// The views are those of today from the first step on: what they name is there when the last one is done.
std::array<std::string, 10> steps() {
  return {kTables + views(),
          kSearch,
          kPhrases,
          kEmbeddings + views(),
          kLongPrompts + views() + vectors(),
          kAddReasoning + views(),
          kSchemas,
          kSources + views(),
          kAddRegions,
          kAddClosed + views()};
}

/// The oldest version whose tables are read as they are.
constexpr std::int64_t kReadableVersion = 4;

/// @return the latest version whose tables are there, or 0
std::int64_t version_of_tables(Database& database) {
  for (std::int64_t version = schema_version(); version > 0; --version) {
    try {
      check_tables(database, version);
      return version;
    } catch (const DatabaseError&) {
      continue;
    }
  }
  return 0;
}

/// @throws DatabaseError unless the file is ours, or empty and may become ours.
std::int64_t checked_version(Database& database) {
  const std::int64_t application = database.number("PRAGMA application_id");
  const std::int64_t version = database.number("PRAGMA user_version");
  const std::int64_t tables = database.number("SELECT count(*) FROM sqlite_schema");
  if (application == 0 && version == 0 && tables == 0) return 0;
  const std::string file = database.file().string();
  if (application == 0 && version == 0) {
    if (const std::int64_t tables_of = version_of_tables(database); tables_of > 0) {
      throw DatabaseError(fmt::format(
          "{}: a results database without its marks, which a dump leaves out; they are set by `sqlite3 FILE "
          "\"PRAGMA application_id = {}; PRAGMA user_version = {}\"`",
          file, kApplicationId, tables_of));
    }
  }
  if (application != kApplicationId) {
    throw DatabaseError(fmt::format("{}: a database of another program: choose another file", file));
  }
  if (version > schema_version()) {
    throw DatabaseError(
        fmt::format("{}: written by a newer mmbatch (version {} of the tables, this one knows {}): "
                    "use that program, or choose another file",
                    file, version, schema_version()));
  }
  if (version < 1) {
    throw DatabaseError(
        fmt::format("{}: the database is damaged: its tables are said to be of version {}; go "
                    "back to a copy, or choose another file",
                    file, version));
  }
  return version;
}

/// Rows that belong to others that are not there are in no view: it is said, and the rest is shown. Each
/// looks up the distinct keys of an index, one after the other, which takes no time however many rows there
/// are.
void warn_of_loose_ends(Database& database) {
  const auto loose = [&](const char* table, const char* key, const char* owners) {
    return database.number(fmt::format(
        "WITH RECURSIVE keys(k) AS (SELECT min({1}) FROM {0} UNION ALL SELECT (SELECT min({1}) FROM "
        "{0} WHERE {1} > k) FROM keys WHERE k IS NOT NULL) SELECT count(*) FROM keys WHERE k IS NOT "
        "NULL AND k NOT IN (SELECT key FROM {2})",
        table, key, owners));
  };
  for (const auto& [table, key, owners] : {std::tuple("items", "job_key", "jobs"),
                                           {"results", "run_key", "runs"},
                                           {"runs", "model_key", "models"}}) {
    if (loose(table, key, owners) == 0) continue;
    spdlog::warn("{}: the database is damaged: {} name {} that are not there, and are not shown",
                 database.file().string(), table, owners);
  }
}

}  // namespace

const std::vector<std::pair<std::string, std::string>>& view_columns() {
  static const std::vector<std::pair<std::string, std::string>> columns = {
      {"run", "r.run_key"},
      {"job", "j.name"},
      {"task", "i.task"},
      {"id", "i.id"},
      {"images", "i.images"},
      {"prompt", prompt_sql()},
      {"status", "r.status"},
      {"answer", "r.answer"},
      {"sequence", "r.sequence"},
      {"finish_reason", "r.finish_reason"},
      {"references", "i.\"references\""},
      {"correct", "r.correct"},
      {"score", "r.score"},
      {"logprob", "r.logprob"},
      {"probabilities", "r.probabilities"},
      {"prompt_tokens", "r.prompt_tokens"},
      {"answer_tokens", "r.answer_tokens"},
      {"closed", "r.closed"},
      {"reasoning", "r.reasoning"},
      {"reasoning_tokens", "r.reasoning_tokens"},
      {"error_stage", "r.error_stage"},
      {"error_code", "r.error_code"},
      {"error_message", "r.error_message"},
      {"vision_ms", "r.vision_ms"},
      {"text_ms", "r.text_ms"},
      {"queue_ms", "r.queue_ms"},
      {"prefill_ms", "r.prefill_ms"},
      {"decode_ms", "r.decode_ms"},
      {"total_ms", "r.total_ms"},
      {"created", "r.created"},
      {"metadata", "i.metadata"},
      {"document", "i.document"},
      {"page", "i.page"},
      {"frame_times", "i.frame_times"},
  };
  return columns;
}

std::string result_column(const Database& database, const char* name) {
  return database.has_column("results", name) ? fmt::format("r.{}", name) : "NULL";
}

std::string item_column(const Database& database, const char* name) {
  return database.has_column("items", name) ? fmt::format("i.{}", name) : "NULL";
}

std::vector<std::pair<std::string, std::string>> view_columns(const Database& database) {
  auto columns = view_columns();
  for (auto& [name, expression] : columns) {
    if (expression == "r." + name) expression = result_column(database, name.c_str());
    if (expression == "i." + name) expression = item_column(database, name.c_str());
  }
  return columns;
}

std::string prompt_sql() {
  return "CASE WHEN i.prompt = '' AND i.prompt_phrase IS NOT NULL THEN (SELECT text FROM phrases WHERE "
         "phrases.key = i.prompt_phrase) ELSE i.prompt END";
}

std::string view_tables() {
  return "results r JOIN items i ON i.key = r.item_key JOIN jobs j ON j.key = i.job_key";
}

int schema_version() {
  return static_cast<int>(steps().size());
}

void create_or_migrate(Database& database) {
  const std::int64_t found = checked_version(database);
  check_tables(database, found);
  if (found == schema_version()) {
    check_triggers(database);
    return;
  }
  // All at once: the views name what the last step adds, and a kill between two steps would leave them
  // broken.
  Transaction transaction(database);
  const auto all = steps();
  // Another process may have been quicker.
  for (std::int64_t version = checked_version(database); version < schema_version(); ++version)
    database.run(all.at(static_cast<std::size_t>(version)));
  check_triggers(database);
  database.run(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, schema_version()));
  transaction.commit();
}

std::unique_ptr<Database> open_for_reading(const std::filesystem::path& file) {
  auto database = std::make_unique<Database>(file, Database::Mode::read_only);
  const std::int64_t version = checked_version(*database);
  if (version == 0)
    throw DatabaseError(fmt::format("{}: not a results database: it has no tables", file.string()));
  check_tables(*database, version);
  if (version >= kReadableVersion) {
    warn_of_loose_ends(*database);
    return database;
  }
  {
    Database writable(file, Database::Mode::create);
    create_or_migrate(writable);
  }
  return std::make_unique<Database>(file, Database::Mode::read_only);
}

}  // namespace mmbatch
