#include "jobs/results/store.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <exception>
#include <mutex>
#include <unordered_map>

#include "engine/base/sha256.h"
#include "jobs/metrics/fields/field_scores.h"
#include "jobs/results/columns/table_views.h"
#include "jobs/results/database.h"
#include "jobs/results/result_rows.h"
#include "jobs/results/run_lock.h"
#include "jobs/results/schema.h"
#include "jobs/text/clock.h"

namespace mmbatch {
namespace {

/// Digests remembered within a run; then all are forgotten. Some 30 MB.
constexpr std::size_t kMostDigests = 100'000;

using Clock = std::chrono::steady_clock;

const char* to_string(RunStatus status) {
  switch (status) {
    case RunStatus::running:
      return "running";
    case RunStatus::finished:
      return "finished";
    case RunStatus::interrupted:
      return "interrupted";
    case RunStatus::failed:
      return "failed";
  }
  return "failed";
}

std::string run_identity(const RunInfo& info) {
  Sha256 hash;
  hash.field("mmbatch run 1").field(info.manifest).field(info.model.fingerprint).field(info.model.precision);
  return hash.field(info.settings).hex();
}

/// The writing connection, set up for safety first.
std::unique_ptr<Database> open_writable(const std::filesystem::path& file) {
  auto database = std::make_unique<Database>(file, Database::Mode::create);
  create_or_migrate(*database);
  // FULL: a commit survives a power cut, which WAL with less does not promise.
  database->run(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000;"
      "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 32000");
  return database;
}

}  // namespace

struct ResultsStore::Impl {
  Impl(const std::filesystem::path& file, const Options& options_)
      : options(options_),
        lock(file),
        database(open_writable(file)),
        rows(*database),
        remember(*database,
                 "INSERT OR REPLACE INTO image_digests(path, size, modified_ns, changed_ns, inode, sha256) "
                 "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"),
        reading(file, Database::Mode::read_only),
        known(reading),
        find_digest(reading,
                    "SELECT sha256 FROM image_digests WHERE path = ?1 AND size = ?2 AND modified_ns = ?3 "
                    "AND changed_ns = ?4 AND inode = ?5") {}

  /// Opens the batch when there is none.
  void begin() {
    refuse_after_failure();
    begin_items();
    if (transaction) return;
    transaction.emplace(*database);
    since = Clock::now();
  }

  void commit() {
    refuse_after_failure();
    if (!transaction) return;
    const auto begin = Clock::now();
    const std::size_t items = batched;
    try {
      // The reader lets go of what it saw, or the log could not be started again from its beginning.
      const std::scoped_lock guard(reading_mutex);
      snapshot.reset();
      transaction->commit();
      transaction.reset();
      batched = 0;
    } catch (...) {
      abandon();
      throw;
    }
    if (options.on_commit) options.on_commit(items, begin);
  }

  void commit_if_due() {
    const bool late = transaction && Clock::now() - since >= options.batch_time;
    if (batched >= options.batch_items || late) commit();
  }

  void write(const ItemResult& result, const std::string& created) {
    begin();
    try {
      rows.write(run, jobs.at(result.item->job), result, created);
    } catch (...) {
      // An item's rows are all there or none. A savepoint for each item would keep the batch, but the search
      // index writes out what it gathered at every savepoint.
      abandon();
      throw;
    }
    ++batched;
    commit_if_due();
  }

  /// Gives up the batch: its items were not promised to be kept, and a resume computes them again. For that
  /// the run must end, whichever thread met the failure. Called where an exception is handled.
  void abandon() {
    transaction.reset();
    batched = 0;
    rows.forget();
    failure = std::current_exception();
  }

  void refuse_after_failure() const {
    if (failure) std::rethrow_exception(failure);
  }

  Options options;
  RunLock lock;

  // Guards the writing connection and all of this block.
  std::mutex mutex;
  std::unique_ptr<Database> database;
  ResultRows rows;
  Statement remember;
  std::optional<Transaction> transaction;
  std::size_t batched = 0;
  Clock::time_point since;
  std::exception_ptr failure;

  /// Keeps what the reading connection sees until the next commit: to look it up anew for each item takes
  /// longer than to find the item.
  void keep_snapshot() {
    if (!snapshot) snapshot.emplace(reading, Transaction::Kind::reading);
  }

  // Guards the reading connection and all of this block.
  std::mutex reading_mutex;
  Database reading;
  std::optional<Transaction> snapshot;
  KnownResults known;
  Statement find_digest;
  struct Digest {
    FileStamp stamp;
    std::string sha256;
  };
  std::unordered_map<std::string, Digest> digests;  // of this run, by path: seen before they are committed

  /// The run as it was, until its items begin.
  struct Before {
    bool is_new = true;
    std::string status, ended, environment, version, machine;
    std::int64_t resumed = 0;
  };

  /// Reading happens again, so that its failures are found again, or no longer.
  void begin_items() {
    if (!before) return;
    Transaction forgetting(*database);
    database->run(fmt::format(
        "DELETE FROM results WHERE run_key = {} AND error_stage = 'read' AND error_code IS NOT NULL", run));
    // No item would take the place of one that was repaired.
    Statement forget = database->prepare(
        "UPDATE results SET current = 0 WHERE current = 1 AND status = 'failed' AND error_stage = 'read' "
        "AND item_key IN (SELECT key FROM items WHERE job_key = ?1)");
    for (const std::int64_t job : jobs) forget.bind(1, job).run();
    forgetting.commit();
    before.reset();
  }

  // Set by begin_run(), before other threads come.
  std::optional<Before> before;  // guarded by mutex
  std::int64_t run = 0;
  ResumePolicy policy = ResumePolicy::resume;
  std::vector<std::int64_t> jobs;  // keys by Item::job
};

std::unique_ptr<ResultsStore> ResultsStore::open_or_create(const std::filesystem::path& file,
                                                           const Options& options) {
  return std::unique_ptr<ResultsStore>(new ResultsStore(std::make_unique<Impl>(file, options)));
}

ResultsStore::ResultsStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ResultsStore::~ResultsStore() {
  if (impl_->failure) return;  // was told
  try {
    flush();
  } catch (const std::exception& e) {
    spdlog::error("the last answers could not be stored: {}", e.what());
  }
}

std::int64_t ResultsStore::begin_run(const RunInfo& info, ResumePolicy policy) {
  Impl& s = *impl_;
  const std::scoped_lock guard(s.mutex);
  s.commit();
  s.policy = policy;
  Transaction transaction(*s.database);
  Statement model = s.database->prepare(
      "INSERT INTO models(folder, fingerprint, family, precision, details) VALUES(?1, ?2, ?3, ?4, ?5) "
      "ON CONFLICT(fingerprint, precision) DO UPDATE SET folder = ?1, family = ?3, details = ?5 RETURNING "
      "key");
  model.bind(1, info.model.folder).bind(2, info.model.fingerprint).bind(3, info.model.family);
  model.bind(4, info.model.precision).bind(5, info.model.details).step();
  const std::int64_t model_key = model.integer(0);
  model.run();

  const std::string identity = run_identity(info);
  Statement found = s.database->prepare("SELECT max(key) FROM runs WHERE identity = ?1");
  found.bind(1, identity).step();
  s.run = policy == ResumePolicy::fresh ? 0 : found.integer(0);
  s.before = Impl::Before();
  // The lock says that no other process is at it: such a run was killed.
  s.database->run("UPDATE runs SET status = 'interrupted' WHERE status = 'running'");
  if (s.run != 0) {
    Statement now = s.database->prepare(
        "SELECT status, ended, environment, version, machine, resumed FROM runs WHERE key = ?1");
    now.bind(1, s.run).step();
    const auto text = [&](int column) { return std::string(now.text(column)); };
    *s.before = {false, text(0), text(1), text(2), text(3), text(4), now.integer(5)};
    now.reset();
    s.database->run(fmt::format(
        "UPDATE runs SET status = 'running', ended = NULL, resumed = resumed + 1 WHERE key = {}", s.run));
    s.database->prepare("UPDATE runs SET environment = ?1, version = ?2, machine = ?3 WHERE key = ?4")
        .bind(1, info.environment)
        .bind(2, info.version)
        .bind(3, info.machine)
        .bind(4, s.run)
        .run();
  } else {
    Statement insert = s.database->prepare(
        "INSERT INTO runs(identity, manifest, model_key, settings, environment, version, machine, status, "
        "started) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 'running', ?8)");
    insert.bind(1, identity).bind(2, info.manifest).bind(3, model_key).bind(4, info.settings);
    insert.bind(5, info.environment).bind(6, info.version).bind(7, info.machine).bind(8, utc_now()).run();
    s.run = s.database->last_row();
  }

  s.jobs.clear();
  Statement upsert = s.database->prepare(
      "INSERT INTO jobs(name, task) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET task = ?2 RETURNING key");
  Statement say_fields = s.database->prepare("UPDATE jobs SET fields = ?1 WHERE key = ?2");
  for (const Job& job : info.jobs) {
    upsert.bind(1, job.name).bind(2, mmbatch::to_string(job.task)).step();
    s.jobs.push_back(upsert.integer(0));
    upsert.run();
    const std::size_t place = s.jobs.size() - 1;
    const std::string schema = place < info.schemas.size() ? info.schemas[place] : "";
    if (place < info.schemas.size()) keep_job_schema(*s.database, s.jobs.back(), job.name, schema);
    const std::string fields = field_rules_json(job.fields);
    if (!job.fields.empty()) say_fields.bind(1, fields).bind(2, s.jobs.back()).run();
    s.rows.compare_by(s.jobs.back(), rules_of_job(schema, fields));
  }
  transaction.commit();
  return s.run;
}

std::string ResultsStore::first_started() const {
  const std::scoped_lock guard(impl_->mutex);
  Statement first = impl_->database->prepare("SELECT started FROM runs ORDER BY key LIMIT 1");
  return first.step() ? std::string(first.text(0)) : std::string();
}

Known ResultsStore::look_up(const std::shared_ptr<const Item>& item, const std::string& content_key,
                            const std::vector<std::string>& image_sha256) {
  Impl& s = *impl_;
  if (s.policy == ResumePolicy::fresh) return Known::no;
  {
    const std::scoped_lock guard(s.mutex);
    s.begin_items();
  }
  const ItemIdentity identity{s.jobs.at(item->job), item->id, item->variant};
  KnownResults::Found found;
  {
    const std::scoped_lock guard(s.reading_mutex);
    s.keep_snapshot();
    found = s.known.find(s.run, identity, content_key, item_digest(*item, image_sha256));
    const auto& own = found.own;
    if (own && own->answered && own->in_place) return Known::answered;
    if (own && !own->answered)
      return s.policy == ResumePolicy::retry_failed || !own->in_place ? Known::no : Known::failed;
  }
  if (!found.answers) return Known::no;
  found.answers->item = item;
  found.answers->image_sha256 = image_sha256;
  const std::scoped_lock guard(s.mutex);
  s.write(*found.answers, found.created);
  return Known::answered;
}

void ResultsStore::put(const ItemResult& result) {
  const std::scoped_lock guard(impl_->mutex);
  impl_->write(result, "");
}

void ResultsStore::flush_if_due() {
  const std::scoped_lock guard(impl_->mutex);
  impl_->commit_if_due();
}

void ResultsStore::flush() {
  const std::scoped_lock guard(impl_->mutex);
  impl_->commit();
}

bool ResultsStore::withdraw_run() {
  Impl& s = *impl_;
  const std::scoped_lock guard(s.mutex);
  if (!s.before) return false;
  const Impl::Before before = *std::exchange(s.before, {});
  if (before.is_new) {
    s.database->prepare("DELETE FROM runs WHERE key = ?1").bind(1, s.run).run();
    return true;
  }
  Statement restore = s.database->prepare(
      "UPDATE runs SET status = ?1, ended = nullif(?2, ''), environment = ?3, version = ?4, machine = ?5, "
      "resumed = ?6 WHERE key = ?7");
  restore.bind(1, before.status).bind(2, before.ended).bind(3, before.environment).bind(4, before.version);
  restore.bind(5, before.machine).bind(6, before.resumed).bind(7, s.run).run();
  return true;
}

void ResultsStore::finish_run(RunStatus status, const std::string& stats) {
  Impl& s = *impl_;
  const std::scoped_lock guard(s.mutex);
  s.begin();
  s.database->prepare("UPDATE runs SET status = ?1, ended = ?2, stats = ?3 WHERE key = ?4")
      .bind(1, to_string(status))
      .bind(2, utc_now())
      .bind(3, stats)
      .bind(4, s.run)
      .run();
  s.commit();
}

std::optional<std::string> ResultsStore::find_digest(const FileStamp& stamp) {
  Impl& s = *impl_;
  const std::scoped_lock guard(s.reading_mutex);
  const auto recent = s.digests.find(stamp.path);
  if (recent != s.digests.end() && recent->second.stamp == stamp) return recent->second.sha256;
  s.keep_snapshot();
  Statement& find = s.find_digest;
  find.bind(1, stamp.path).bind(2, static_cast<std::int64_t>(stamp.size)).bind(3, stamp.modified_ns);
  find.bind(4, stamp.changed_ns).bind(5, static_cast<std::int64_t>(stamp.inode));
  std::optional<std::string> digest;
  if (find.step()) digest = std::string(find.text(0));
  find.reset();
  return digest;
}

void ResultsStore::remember_digest(const FileStamp& stamp, const std::string& sha256) {
  Impl& s = *impl_;
  {
    const std::scoped_lock guard(s.reading_mutex);
    if (s.digests.size() >= kMostDigests) s.digests.clear();
    s.digests.insert_or_assign(stamp.path, Impl::Digest{stamp, sha256});
  }
  const std::scoped_lock guard(s.mutex);
  s.begin();
  try {
    s.remember.bind(1, stamp.path).bind(2, static_cast<std::int64_t>(stamp.size)).bind(3, stamp.modified_ns);
    s.remember.bind(4, stamp.changed_ns).bind(5, static_cast<std::int64_t>(stamp.inode)).bind(6, sha256);
    s.remember.run();
  } catch (...) {
    s.abandon();  // a full disk may have ended the transaction
    throw;
  }
  s.commit_if_due();
}

}  // namespace mmbatch
