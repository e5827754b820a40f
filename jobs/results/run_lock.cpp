#include "jobs/results/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/base/output/output_error.h"
#include "jobs/results/database_error.h"

namespace mmbatch {
namespace {

std::string this_process() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("process {} on {}", ::getpid(), host);
}

std::string content(int fd, const char* otherwise) {
  char text[512];
  const ssize_t got = ::pread(fd, text, sizeof text, 0);
  return got > 0 ? std::string(text, static_cast<std::size_t>(got)) : otherwise;
}

/// What a lock says, also one that a killed run left behind.
bool is_lock_text(const std::string& text) {
  return text.empty() || (text.rfind("process ", 0) == 0 && text.find(" on ") != std::string::npos &&
                          text.find('\n') == std::string::npos);
}

/// Whether the locked file is still the one of that name: its last holder may have removed it meanwhile.
bool is_in_place(int fd, const std::filesystem::path& file) {
  struct stat held {
  }, named{};
  return ::fstat(fd, &held) == 0 && ::stat(file.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

bool is_regular(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/// There can be no lock, since the system makes none.
[[noreturn]] void cannot(RunLock::On on, const std::string& problem, int reason) {
  const std::string text = fmt::format("{}: {}: choose another folder", problem, std::strerror(reason));
  if (on == RunLock::On::output) throw OutputError("--output " + text);
  throw DatabaseError(text);
}

[[noreturn]] void fail(RunLock::On on, const std::string& problem) {
  if (on == RunLock::On::output) throw UsageError(fmt::format("--output {} with --output", problem));
  throw DatabaseError(fmt::format("{}", problem));
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& file, On on)
    : file_(std::filesystem::weakly_canonical(file).string() + ".lock") {
  for (;;) {
    fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd_ < 0) cannot(on, file_.string() + ": cannot be written", errno);
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int reason = errno;
      const std::string holder = content(fd_, "another process");
      ::close(fd_);
      if (reason != EWOULDBLOCK) cannot(on, file_.string() + ": cannot be locked", reason);
      fail(on, fmt::format("{}: {} is running jobs into it: wait for it, or choose another file",
                           file.string(), holder));
    }
    if (!is_in_place(fd_, file_)) {
      ::close(fd_);
      continue;
    }
    if (is_regular(fd_) && is_lock_text(content(fd_, ""))) break;
    ::close(fd_);
    fail(on,
         fmt::format("{}: the lock {} would take the place of a file that is not a lock: move it away, or "
                     "choose another name",
                     file.string(), file_.string()));
  }
  const std::string name = this_process();
  // Without its text the lock holds all the same.
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, name.data(), name.size(), 0) < 0) errno = 0;
}

RunLock::~RunLock() {
  ::unlink(file_.c_str());
  ::close(fd_);
}

}  // namespace mmbatch
