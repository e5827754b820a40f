#include "jobs/status/database_status.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "engine/base/files/small_file.h"
#include "jobs/results/database.h"
#include "jobs/results/schema.h"
#include "jobs/text/clock.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using State = PartStatus::State;

/// What a run's lock says of its holder: "process 12 on host"; empty: there is no lock.
std::string lock_text(const fs::path& database) {
  const auto text = read_small_file(database.string() + ".lock", 512);
  return text ? text.value().substr(0, text.value().find('\n')) : "";
}

/// Whether the process that a lock names is there still. Of other machines it cannot be known: their lock
/// counts.
bool may_be_alive(const std::string& holder) {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  constexpr std::string_view kBegin = "process ";
  const std::string end = fmt::format(" on {}", host);
  if (holder.rfind(kBegin, 0) != 0) return false;
  if (!holder.ends_with(end)) return true;
  pid_t process = 0;
  const char* const text = holder.data() + kBegin.size();
  if (std::from_chars(text, holder.data() + holder.size(), process).ec != std::errc{} || process <= 0)
    return false;
  return ::kill(process, 0) == 0 || errno == EPERM;
}

State state_of(std::string_view status, const std::string& holder) {
  if (status == "finished") return State::finished;
  if (status == "interrupted") return State::interrupted;
  if (status == "failed") return State::failed;
  return may_be_alive(holder) ? State::running : State::stopped;
}

/// Outcomes a second of the last minute before the latest one, by the clock of the machine that wrote them.
double recent_rate(Database& database, std::int64_t run) {
  constexpr double kWindow = 60;
  Statement rows = database.prepare(
      "SELECT created FROM results WHERE run_key = ?1 AND sequence = 0 ORDER BY key DESC LIMIT 5000");
  rows.bind(1, run);
  std::optional<double> newest;
  double oldest = 0;
  std::uint64_t count = 0;
  while (rows.step()) {
    const auto created = unix_seconds(rows.text(0));
    if (!created) continue;
    if (!newest) newest = oldest = *created;
    if (*created < *newest - kWindow || *created > *newest) continue;  // copied from an earlier run
    oldest = std::min(oldest, *created);
    ++count;
  }
  return newest && *newest > oldest ? static_cast<double>(count - 1) / (*newest - oldest) : 0;
}

}  // namespace

DatabaseStatus read_database_status(const fs::path& file) {
  const auto database = open_for_reading(file);
  const Transaction snapshot(*database, Transaction::Kind::reading);
  DatabaseStatus status;
  status.part.name = file.string();
  Statement run = database->prepare(
      "SELECT key, status, manifest FROM runs ORDER BY status = 'running' DESC, coalesce(ended, started) "
      "DESC, "
      "key DESC LIMIT 1");
  if (!run.step()) return status;
  const std::int64_t key = run.integer(0);
  const std::string holder = lock_text(file);
  status.part.state = state_of(run.text(1), holder);
  status.manifest = std::string(run.text(2));
  if (status.part.state == State::running) {
    status.part.holder = holder;
    status.part.items_per_second = recent_rate(*database, key);
  }
  Statement counts = database->prepare(
      "SELECT count(*), count(*) FILTER (WHERE status = 'failed') FROM results "
      "WHERE run_key = ?1 AND sequence = 0 AND current >= 0");
  counts.bind(1, key);
  counts.step();
  status.part.done = static_cast<std::uint64_t>(counts.integer(0));
  status.part.failed = static_cast<std::uint64_t>(counts.integer(1));
  return status;
}

}  // namespace mmbatch
