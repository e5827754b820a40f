#include "jobs/merge/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/text/counted.h"
#include "engine/base/text/visible.h"
#include "jobs/merge/row_copier.h"
#include "jobs/output/file_roles.h"
#include "jobs/results/columns/table_views.h"
#include "jobs/results/database_error.h"
#include "jobs/results/run_lock.h"
#include "jobs/results/schema.h"
#include "jobs/results/search/phrases.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxDescriptions = 20;

/// Keys of a database that is read → of the one that is written.
class Keys {
 public:
  Keys(const Database& in, const char* table) : in_(in), table_(table) {}
  std::int64_t& operator[](std::int64_t key) { return keys_[key]; }
  /// @throws DatabaseError when a row names another that is not there
  std::int64_t at(std::int64_t key) const {
    const auto found = keys_.find(key);
    if (found == keys_.end())
      throw_damaged(in_, fmt::format("{} has no row {}, which other rows belong to", table_, key));
    return found->second;
  }

 private:
  const Database& in_;
  const char* table_;
  std::map<std::int64_t, std::int64_t> keys_;
};

/// Counts and seconds of runs that become one: the work is added up; peaks and clock times are the largest.
std::string merged_stats(const std::string& a, const std::string& b) {
  using Json = nlohmann::json;
  Json sum = Json::parse(shallow_json(a), nullptr, false);
  const Json more = Json::parse(shallow_json(b), nullptr, false);
  if (!sum.is_object() || !more.is_object()) return a.empty() ? b : a;
  static const std::set<std::string> largest = {
      "seconds",       "load_seconds",  "mean_item_ms",        "peak_rss_bytes",
      "kv_bytes_pool", "kv_bytes_peak", "kv_bytes_shared_peak"};
  for (const auto& [name, value] : more.items()) {
    if (!value.is_number() || !sum.contains(name) || !sum[name].is_number()) continue;
    Json& own = sum[name];
    if (largest.count(name) > 0)
      own = std::max(own, value);
    else if (std::int64_t both = 0;
             own.is_number_integer() && value.is_number_integer() &&
             !__builtin_add_overflow(own.get<std::int64_t>(), value.get<std::int64_t>(), &both))
      own = both;
    else
      own = own.get<double>() + value.get<double>();
  }
  return sum.dump();
}

/// What an item's outcome in a run is, for comparison.
struct Outcome {
  std::vector<std::int64_t> keys;  // of its rows, by sequence
  std::vector<std::string> texts;  // status, content and answer or error of each
  bool answered = false;
  bool current = false;
  std::string created;
};

/// One database that is put into another.
class Merge {
 public:
  Merge(Database& out, const std::filesystem::path& file, MergeReport& report)
      : out_(out),
        in_(open_for_reading(file)),
        file_(file),
        report_(report),
        phrases_(out),
        answer_(*in_, "SELECT answer FROM results WHERE key = ?1"),
        embedding_(*in_, "SELECT width, vector FROM embeddings WHERE result_key = ?1"),
        insert_embedding_(out, "INSERT INTO embeddings(result_key, width, vector) VALUES(?1, ?2, ?3)"),
        items_(out, *in_, "items", {"job_key", "prompt_phrase", "prompt"}),
        results_(out, *in_, "results", {"run_key", "item_key", "current", "answer_phrase"}),
        find_item_(out,
                   "SELECT key FROM items WHERE job_key = ?1 AND id = ?2 AND variant = ?3 AND digest = ?4"),
        find_outcome_(out, outcome_sql()),
        find_current_(
            out,
            "SELECT r.key, r.run_key, r.item_key, r.created FROM items i CROSS JOIN results r INDEXED BY "
            "results_item ON r.item_key = i.key WHERE i.job_key = ?1 AND i.id = ?2 AND i.variant = ?3 AND "
            "r.current = 1"),
        set_current_(out, "UPDATE results SET current = ?2 WHERE key = ?1"),
        remove_(out, "DELETE FROM results WHERE key = ?1"),
        models_(*in_, "models"),
        runs_(*in_, "runs"),
        jobs_(*in_, "jobs") {}

  void run() {
    const Transaction snapshot(*in_, Transaction::Kind::reading);
    Transaction transaction(out_);
    take_models();
    take_runs();
    take_jobs();
    take_items();
    take_digests();
    transaction.commit();
  }

 private:
  static std::string outcome_sql() {
    return "SELECT key, status, content_key, answer, error_code, error_message, current, created FROM "
           "results "
           "WHERE item_key = ?1 AND run_key = ?2 AND current >= 0 ORDER BY sequence";
  }

  void take_models() {
    Statement rows = in_->prepare("SELECT key, folder, fingerprint, family, precision, details FROM models");
    Statement put = out_.prepare(
        "INSERT INTO models(folder, fingerprint, family, precision, details) VALUES(?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT(fingerprint, precision) DO UPDATE SET folder = folder RETURNING key");
    while (rows.step()) {
      for (int i = 1; i <= 5; ++i) put.bind(i, rows.text(i));
      put.step();
      models_[rows.integer(0)] = put.integer(0);
      put.run();
    }
  }

  /// Of several runs of one identity, the first goes to the first, and so on.
  void take_runs() {
    RowCopier copier(out_, *in_, "runs", {"model_key"});
    Statement rows =
        in_->prepare("SELECT key, identity, model_key, status, started, ended, stats FROM runs ORDER BY key");
    Statement find = out_.prepare(
        "SELECT key, started, ended, status, stats FROM runs WHERE identity = ?1 ORDER BY key LIMIT 1 OFFSET "
        "?2");
    Statement update =
        out_.prepare("UPDATE runs SET started = ?2, ended = ?3, status = ?4, stats = ?5 WHERE key = ?1");
    std::map<std::string, std::int64_t> seen;
    while (rows.step()) {
      const std::string identity(rows.text(1));
      find.bind(1, identity).bind(2, seen[identity]++);
      if (!find.step()) {
        find.reset();
        const std::int64_t model = models_.at(rows.integer(2));
        runs_[rows.integer(0)] =
            copier.copy(rows.integer(0), [&](Statement& insert) { insert.bind(1, model); });
        continue;
      }
      const std::int64_t key = find.integer(0);
      update.bind(1, key)
          .bind(2, std::min(find.text(1), rows.text(4)))
          .bind(3, std::max(find.text(2), rows.text(5)))
          .bind(4, rows.text(3) == "finished" ? find.text(3) : rows.text(3))
          .bind(5, merged_stats(std::string(find.text(4)), std::string(rows.text(6))));
      find.reset();
      update.run();
      runs_[rows.integer(0)] = key;
    }
  }

  void take_jobs() {
    // A database of a version before has no schemas.
    const bool schemas = in_->number("SELECT count(*) FROM sqlite_schema WHERE name = 'schemas'") > 0;
    Statement rows = in_->prepare(
        schemas
            ? "SELECT j.key, j.name, j.task, s.text FROM jobs j LEFT JOIN schemas s ON s.key = j.schema_key"
            : "SELECT key, name, task, NULL FROM jobs");
    Statement find = out_.prepare("SELECT key, task FROM jobs WHERE name = ?1");
    RowCopier copier(out_, *in_, "jobs", {"schema_key"});
    while (rows.step()) {
      find.bind(1, rows.text(1));
      if (!find.step()) {
        jobs_[rows.integer(0)] = copier.copy(rows.integer(0), [](Statement& insert) { insert.bind_null(1); });
      } else if (find.text(1) != rows.text(2)) {
        throw UsageError(
            fmt::format("{}: job '{}' is of task {}, but in {} of task {}: these results do not belong "
                        "together",
                        file_.string(), rows.text(1), rows.text(2), out_.file().string(), find.text(1)));
      } else {
        jobs_[rows.integer(0)] = find.integer(0);
      }
      find.reset();
      keep_job_schema(out_, jobs_[rows.integer(0)], std::string(rows.text(1)), std::string(rows.text(3)));
    }
  }

  void take_items() {
    Statement rows = in_->prepare(
        fmt::format("SELECT key, job_key, id, variant, digest, {} FROM items i ORDER BY key", prompt_sql()));
    Statement runs =
        in_->prepare("SELECT DISTINCT run_key FROM results WHERE item_key = ?1 AND current >= 0 ORDER BY 1");
    Statement outcome = in_->prepare(outcome_sql());
    while (rows.step()) {
      runs.bind(1, rows.integer(0));
      std::vector<std::int64_t> keys;
      while (runs.step()) keys.push_back(runs.integer(0));
      runs.reset();
      for (const std::int64_t run : keys)
        take_outcome(rows, run, read_outcome(outcome, rows.integer(0), run));
    }
  }

  static Outcome read_outcome(Statement& rows, std::int64_t item, std::int64_t run) {
    Outcome outcome;
    rows.bind(1, item).bind(2, run);
    while (rows.step()) {
      outcome.keys.push_back(rows.integer(0));
      outcome.texts.push_back(fmt::format("{}\n{}\n{}\n{}\n{}", rows.text(1), rows.text(2), rows.text(3),
                                          rows.text(4), rows.text(5)));
      outcome.answered = rows.text(1) == "answered";
      outcome.current = rows.integer(6) == 1;
      outcome.created = rows.text(7);
    }
    rows.reset();
    return outcome;
  }

  /// Where images lie, for a report; on the machine that ran the items.
  void take_digests() {
    Statement rows =
        in_->prepare("SELECT path, size, modified_ns, changed_ns, inode, sha256 FROM image_digests");
    Statement put = out_.prepare("INSERT OR REPLACE INTO image_digests VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
    while (rows.step()) {
      put.bind(1, rows.text(0)).bind(6, rows.text(5));
      for (int i = 1; i <= 4; ++i) put.bind(i + 1, rows.integer(i));
      put.run();
    }
  }

  std::int64_t item_key(const Statement& item) {
    const std::int64_t job = jobs_.at(item.integer(1));
    find_item_.bind(1, job).bind(2, item.text(2)).bind(3, item.integer(3)).bind_blob(4, item.text(4));
    const bool found = find_item_.step();
    const std::int64_t key = found ? find_item_.integer(0) : 0;
    find_item_.reset();
    if (found) return key;
    const std::string prompt(item.text(5));
    const std::int64_t phrase = phrases_.key_of(prompt);
    return items_.copy(item.integer(0), [&](Statement& insert) {
      insert.bind(1, job).bind(2, phrase).bind(3, Phrases::in_row(prompt));
    });
  }

  void take_outcome(const Statement& item, std::int64_t in_run, const Outcome& outcome) {
    const std::int64_t run = runs_.at(in_run);
    const std::int64_t key = item_key(item);
    const Outcome there = read_outcome(find_outcome_, key, run);
    const bool replaces = !there.keys.empty() && !there.answered && outcome.answered;
    if (!there.keys.empty() && !replaces) {
      if (there.texts == outcome.texts || (there.answered && !outcome.answered)) {
        ++report_.known;
      } else if (there.answered) {
        conflict(item, "has another answer");
      } else {
        conflict(item, "failed in another way");
      }
      return;
    }
    for (const std::int64_t old : there.keys) remove_.bind(1, old).run();
    const bool current = outcome.current && becomes_current(item, key, run, outcome.created);
    for (const std::int64_t row : outcome.keys) copy_result(row, run, key, current);
    ++report_.added;
  }

  /// Settles which of an item's outcomes in several runs or contents is the latest.
  bool becomes_current(const Statement& item, std::int64_t key, std::int64_t run,
                       const std::string& created) {
    find_current_.bind(1, jobs_.at(item.integer(1))).bind(2, item.text(2)).bind(3, item.integer(3));
    std::vector<std::int64_t> others;
    bool latest = true, other_content = false;
    while (find_current_.step()) {
      others.push_back(find_current_.integer(0));
      latest = latest && find_current_.text(3) <= created;
      other_content = other_content || (find_current_.integer(1) == run && find_current_.integer(2) != key);
    }
    find_current_.reset();
    if (other_content) conflict(item, "has another content; the later one is shown");
    if (!latest) return false;
    for (const std::int64_t other : others) set_current_.bind(1, other).bind(2, 0).run();
    return true;
  }

  void copy_result(std::int64_t row, std::int64_t run, std::int64_t item, bool current) {
    answer_.bind(1, row).step();
    std::optional<std::int64_t> phrase;
    if (answer_.type(0) != Statement::Type::null) phrase = phrases_.key_of(std::string(answer_.text(0)));
    answer_.reset();
    const std::int64_t copy = results_.copy(row, [&](Statement& insert) {
      insert.bind(1, run).bind(2, item).bind(3, current ? 1 : 0).bind(4, phrase);
    });
    embedding_.bind(1, row);
    if (embedding_.step()) {
      insert_embedding_.bind(1, copy).bind(2, embedding_.integer(0)).bind_blob(3, embedding_.text(1)).run();
    }
    embedding_.reset();
  }

  void conflict(const Statement& item, const char* what) {
    ++report_.conflicts;
    if (report_.descriptions.size() >= kMaxDescriptions) return;
    Statement job = in_->prepare("SELECT name FROM jobs WHERE key = ?1");
    job.bind(1, item.integer(1)).step();
    report_.descriptions.push_back(fmt::format("{}: job {}, item {}: {}", file_.string(),
                                               visible_line(job.text(0)), visible_line(item.text(2)), what));
  }

  Database& out_;
  std::unique_ptr<Database> in_;
  std::filesystem::path file_;
  MergeReport& report_;
  Phrases phrases_;
  Statement answer_, embedding_, insert_embedding_;
  RowCopier items_, results_;
  Statement find_item_, find_outcome_, find_current_, set_current_, remove_;
  Keys models_, runs_, jobs_;
};

}  // namespace

MergeReport merge_databases(const std::filesystem::path& out, const std::vector<std::filesystem::path>& in) {
  FileRoles files;
  std::error_code failed;
  for (const auto& file : in) {
    if (!std::filesystem::exists(file, failed))
      throw DatabaseError(fmt::format("{}: no such file", file.string()));
    if (std::filesystem::equivalent(file, out, failed))
      throw UsageError(fmt::format("{}: cannot be merged into itself", file.string()));
    files.reads_database(file);
  }
  files.writes_database(out);
  files.check();
  for (const auto& file : in) open_for_reading(file);  // all of them, before anything is written
  const RunLock lock(out);
  Database database(out, Database::Mode::create);
  create_or_migrate(database);
  database.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000");
  MergeReport report;
  for (const auto& file : in) {
    Merge(database, file, report).run();
    ++report.databases;
  }
  return report;
}

std::string to_text(const MergeReport& report) {
  std::string text =
      fmt::format("{}: {} added, {} there already, {}\n", counted(report.databases, "database"),
                  counted(report.added, "outcome"), report.known, counted(report.conflicts, "conflict"));
  for (const std::string& description : report.descriptions) text += "  " + description + "\n";
  if (report.conflicts > report.descriptions.size()) {
    text += fmt::format("  and {} more\n", report.conflicts - report.descriptions.size());
  }
  return text;
}

}  // namespace mmbatch
