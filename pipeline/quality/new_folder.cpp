#include "pipeline/quality/new_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/output/output_error.h"

namespace mmbatch {
namespace fs = std::filesystem;
namespace {

constexpr const char* kInside = ".mmbatch-unfinished";

[[noreturn]] void refuse(const fs::path& folder, const std::string& action, const std::string& reason) {
  throw OutputError(fmt::format("{}: {}: {}", folder.string(), action, reason));
}

/// All of a folder, before some of it goes away.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed))
    entries.push_back(entry->path());
  if (failed) refuse(folder, "cannot be read", failed.message());
  return entries;
}

void move(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::rename(from, to, failed);
  if (failed) refuse(to, "cannot be written", failed.message());
}

}  // namespace

void NewFolder::check(const fs::path& folder) {
  std::error_code failed;
  if (!fs::exists(folder, failed)) return;
  bool others = !fs::is_directory(folder, failed), unfinished = false;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed))
    (entry->path().filename() == kInside ? unfinished : others) = true;
  if (!others) return;
  throw UsageError(fmt::format("{}: is there already and not an empty folder; name a new one{}",
                               folder.string(), unfinished ? ", or remove it: it was never finished" : ""));
}

NewFolder::NewFolder(fs::path folder, fs::path inside)
    : folder_(std::move(folder)), inside_(std::move(inside)) {}

// What throws below is behind a whole constructor: the destructor unlocks.
NewFolder::NewFolder(const fs::path& folder) : NewFolder(folder, folder / kInside) {
  check(folder);
  std::error_code failed;
  was_there_ = fs::exists(folder, failed) && !fs::exists(inside_, failed);
  fs::create_directories(inside_, failed);
  if (failed) refuse(folder, "cannot be made", failed.message());
  lock();
  try {
    check(folder);  // another process may have finished it meanwhile
  } catch (const UsageError&) {
    fs::remove(inside_, failed);
    inside_.clear();
    throw;
  }
  for (const fs::path& left : entries_of(inside_)) {
    fs::remove_all(left, failed);  // of a process that was killed
    if (failed) refuse(left, "cannot be removed", failed.message());
  }
}

/// Where a file system has no locks, two processes at once are not told apart.
void NewFolder::lock() {
  descriptor_ = ::open(inside_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor_ < 0) refuse(inside_, "cannot be opened", std::strerror(errno));
  struct stat locked {
  }, there{};
  const bool taken = ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  // One that was finished meanwhile is another folder now, or none.
  const bool same = ::fstat(descriptor_, &locked) == 0 && ::lstat(inside_.c_str(), &there) == 0 &&
                    locked.st_ino == there.st_ino;
  if (!taken && same) return;
  ::close(std::exchange(descriptor_, -1));
  throw UsageError(fmt::format("{}: another process is writing it", folder_.string()));
}

NewFolder::~NewFolder() {
  if (descriptor_ < 0) return;
  if (!inside_.empty()) {
    std::error_code failed;
    for (const fs::path& file : moved_) fs::remove_all(file, failed);
    fs::remove_all(inside_, failed);
    if (!was_there_) fs::remove(folder_, failed);  // where it is empty
  }
  ::close(descriptor_);
}

void NewFolder::finish(const fs::path& last) {
  for (const fs::path& entry : entries_of(inside_)) {
    if (entry.filename() == last) continue;
    move(entry, folder_ / entry.filename());
    moved_.push_back(folder_ / entry.filename());
  }
  move(inside_ / last, folder_ / last);
  moved_.clear();
  std::error_code failed;
  fs::remove(inside_, failed);
  if (failed) refuse(inside_, "cannot be removed", failed.message());
  inside_.clear();
}

}  // namespace mmbatch
