#include "engine/base/output/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/base/output/message.h"
#include "engine/base/output/output_error.h"

namespace mmbatch {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const std::string& option, const fs::path& file, int reason) {
  throw OutputError(
      fmt::format("{} {}: cannot be written: {}", option, file.string(), why_not_opened(file, reason)));
}

std::optional<struct stat> status_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return status;
}

/// Where a link that leads nowhere yet leads to.
fs::path resolved(const fs::path& file) {
  fs::path place = file;
  std::error_code failed;
  for (int links = 0; links < 40 && fs::is_symlink(place, failed); ++links) {
    const fs::path target = fs::read_symlink(place, failed);
    if (failed) break;
    place = target.is_absolute() ? target : place.parent_path() / target;
  }
  return place;
}

bool is_named_pipe(const fs::path& file) {
  std::error_code failed;
  return fs::is_fifo(file, failed);
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

}  // namespace

bool is_standard_output(const fs::path& file) {
  return file == "-";
}

int open_for_writing(const fs::path& file, int flags, std::chrono::milliseconds wait) {
  constexpr std::chrono::milliseconds kUnnoticed{500}, kBetween{20};
  const auto begin = std::chrono::steady_clock::now();
  for (bool said = false;;) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | flags, 0666);
    if (descriptor >= 0) {
      // What is slow to take bytes is waited for.
      const int now = ::fcntl(descriptor, F_GETFL);
      if (now >= 0) ::fcntl(descriptor, F_SETFL, now & ~O_NONBLOCK);
      return descriptor;
    }
    const int reason = errno;
    if (reason != EINTR && (reason != ENXIO || !is_named_pipe(file))) return errno = reason, -1;
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited >= wait) return errno = reason, -1;
    if (waited >= kUnnoticed && !std::exchange(said, true))
      say(fmt::format("{}: waits for somebody to read this FIFO", file.string()));
    std::this_thread::sleep_for(kBetween);
  }
}

std::string why_not_opened(const fs::path& file, int reason) {
  if (reason == ENXIO && is_named_pipe(file)) return "it is a FIFO, and nobody opened it to read";
  return std::strerror(reason);
}

fs::path temporary_name(const fs::path& folder) {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    number = static_cast<std::uint64_t>(::getpid());
  return folder / fmt::format(".mmbatch-{:016x}.part", number);
}

TemporaryFile make_temporary(const fs::path& folder) {
  for (;;) {
    TemporaryFile made{temporary_name(folder)};
    made.descriptor = ::open(made.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (made.descriptor >= 0) return made;
    if (errno != EEXIST) throw std::system_error(errno, std::generic_category(), folder.string());
  }
}

OutputFile::OutputFile(const fs::path& file, const std::string& option) : option_(option) {
  // Links of /proc to pipes lead to no name: what is there is asked before where it is.
  const auto there = status_of(file);
  if (is_standard_output(file) || (there && !S_ISREG(there->st_mode) && !S_ISDIR(there->st_mode))) {
    stream_ = open_output(file, option);
    return;
  }
  file_ = resolved(file);
  if (there && S_ISDIR(there->st_mode)) refuse(option, file, EISDIR);
  if (!file_.has_filename()) refuse(option, file, EISDIR);
  if (there && ::access(file_.c_str(), W_OK) != 0) refuse(option, file, errno);
  try {
    const TemporaryFile made = make_temporary(folder_of(file_));
    part_ = made.path;
    if (there && ::fchmod(made.descriptor, there->st_mode & 07777) != 0) errno = 0;
    stream_ = std::make_unique<OutputStream>(made.descriptor, fmt::format("{} {}", option, file.string()),
                                             Audience::programs);
  } catch (const std::system_error& e) {
    refuse(option, file, e.code().value());
  }
}

OutputFile::~OutputFile() {
  if (!part_.empty()) ::unlink(part_.c_str());
}

void OutputFile::commit() {
  stream_->finish();
  if (part_.empty()) return;
  if (::rename(part_.c_str(), file_.c_str()) != 0) {
    throw OutputError(
        fmt::format("{} {}: cannot be written: {}", option_, file_.string(), std::strerror(errno)));
  }
  part_.clear();
}

std::unique_ptr<OutputStream> open_output(const fs::path& file, const std::string& option) {
  const int descriptor = is_standard_output(file) ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                                                  : open_for_writing(file, O_CREAT | O_TRUNC);
  if (descriptor < 0) refuse(option, file, errno);
  return std::make_unique<OutputStream>(descriptor, fmt::format("{} {}", option, file.string()),
                                        Audience::programs);
}

}  // namespace mmbatch
