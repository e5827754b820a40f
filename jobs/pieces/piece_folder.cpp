#include "jobs/pieces/piece_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "jobs/pieces/piece_files.h"
#include "jobs/results/database_error.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

/// What ends a run when the shared folder fails in its middle.
[[noreturn]] void fail(const fs::path& path, int reason) {
  throw DatabaseError(fmt::format("--shards-from: {}: {}", path.string(), std::strerror(reason)));
}

/// Renames a file; false when it is not there any more.
bool moved(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  fail(from, errno);
}

/// Sets a file's time to now, by the clock of the machine that keeps it; false when it is not there any more.
bool touch(const fs::path& file) {
  if (::utimensat(AT_FDCWD, file.c_str(), nullptr, 0) == 0) return true;
  if (errno == ENOENT) return false;
  fail(file, errno);
}

}  // namespace

PieceFolder::PieceFolder(fs::path folder, std::string worker, std::chrono::milliseconds lease)
    : folder_(std::move(folder)), worker_(std::move(worker)), lease_(lease) {
  check_worker_name(worker_);
}

void PieceFolder::lay_out(const PiecePlan& plan) {
  constexpr std::uint64_t kPieces = 128;
  if (!is_piece_folder(folder_)) {
    PiecePlan first = plan;
    if (first.pieces == 0) first.pieces = kPieces;
    make_piece_folder(folder_, first);
  }
  plan_ = read_plan(folder_);
  if (plan_.work != plan.work) {
    throw UsageError(
        fmt::format("--shards-from {}: its pieces are of another manifest, or were begun with another model, "
                    "precision or "
                    "settings: take the same ones, or another folder",
                    folder_.string()));
  }
  if (plan_.items != plan.items) {
    throw UsageError(fmt::format(
        "--shards-from {}: its pieces are of a list of {} items, which has {} now: take another folder; what "
        "this worker's database has answered is not computed again",
        folder_.string(), plan_.items, plan.items));
  }
  const bool other_count = plan.pieces != 0 && plan_.pieces != plan.pieces;
  if (other_count || (plan.by != Shard::By::automatic && plan_.by != plan.by)) {
    throw UsageError(fmt::format(
        "--shards-from {}: it holds {} pieces, by {}: give the same --shards and --shard-by as the first "
        "worker, or neither",
        folder_.string(), plan_.pieces, name_of(plan_.by)));
  }
  const fs::path beat = folder_ / "workers" / worker_;
  const int fd = ::open(beat.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (fd < 0) fail(beat, errno);
  ::close(fd);
  for (const PieceFile& file : list_pieces(folder_ / "taken"))
    if (file.worker == worker_) left_behind_.push_back(file.piece);
}

fs::path PieceFolder::taken(std::uint64_t piece) const {
  return folder_ / "taken" / fmt::format("{}.{}", piece_name(piece), worker_);
}

std::int64_t PieceFolder::now() const {
  const fs::path beat = folder_ / "workers" / worker_;
  if (!touch(beat)) fail(beat, ENOENT);
  return modified_ns(beat).value_or(0);
}

bool PieceFolder::take_new(std::uint64_t piece) {
  const fs::path file = folder_ / "waiting" / piece_name(piece);
  return touch(file) && moved(file, taken(piece));  // its lease begins before it is taken
}

bool PieceFolder::take_from(const fs::path& file, std::uint64_t piece) {
  // Between the two, a third worker may take it: then it is that one's.
  return moved(file, taken(piece)) && touch(taken(piece));
}

std::optional<std::uint64_t> PieceFolder::take() {
  while (!left_behind_.empty()) {
    const std::uint64_t piece = left_behind_.back();
    left_behind_.pop_back();
    if (touch(taken(piece))) return piece;
  }
  std::vector<PieceFile> waiting = list_pieces(folder_ / "waiting");
  if (!waiting.empty()) {
    // Workers begin at different places, so that they do not all run after the same file.
    const auto first = static_cast<std::ptrdiff_t>(std::hash<std::string>{}(worker_) % waiting.size());
    std::rotate(waiting.begin(), waiting.begin() + first, waiting.end());
  }
  for (const PieceFile& file : waiting)
    if (take_new(file.piece)) return file.piece;
  const std::vector<PieceFile> others = list_pieces(folder_ / "taken");
  if (others.empty()) return {};
  const std::int64_t expired = now() - std::chrono::nanoseconds(lease_).count();
  for (const PieceFile& file : others) {
    if (file.worker == worker_) continue;
    const auto modified = modified_ns(file.path);
    if (modified && *modified < expired && take_from(file.path, file.piece)) return file.piece;
  }
  return {};
}

bool PieceFolder::write(std::uint64_t piece, PieceProgress progress) {
  progress.worker = worker_;
  return write_progress(taken(piece), progress);
}

bool PieceFolder::renew(std::uint64_t piece, const PieceProgress& progress) {
  return write(piece, progress) && touch(taken(piece));
}

bool PieceFolder::finish(std::uint64_t piece, const PieceProgress& progress) {
  return write(piece, progress) && moved(taken(piece), folder_ / "done" / piece_name(piece));
}

void PieceFolder::give_back(std::uint64_t piece) {
  moved(taken(piece), folder_ / "waiting" / piece_name(piece));
}

bool PieceFolder::all_done() const {
  return list_pieces(folder_ / "done").size() == plan_.pieces;
}

void check_worker_name(const std::string& name) {
  constexpr std::size_t kLongest = 100;
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  };
  const bool folder = name == "." || name == "..";
  const bool fits = !name.empty() && name.size() <= kLongest && !folder;
  if (fits && std::all_of(name.begin(), name.end(), allowed)) return;
  throw UsageError(
      fmt::format("--worker '{}': a name is 1 to {} letters, digits, '.', '-' and '_', such as host7 or 12{}",
                  name, kLongest, folder ? "; this one is a folder's" : ""));
}

std::string default_worker_name() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  std::string name = fmt::format("{:.60}-{}", host, ::getpid());
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.') c = '-';
  return name;
}

}  // namespace mmbatch
