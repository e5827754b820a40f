#pragma once

#include <filesystem>
#include <string>

namespace mmbatch {

/// Keeps a second process from running jobs into the same database or output file. The lock is the kernel's,
/// on a file beside it (`<file>.lock`, with the holder's name in it), so that it ends with the process,
/// however it ends. A file that is reached by symlinks is locked where it is.
class RunLock {
 public:
  enum class On { database, output };
  /// @throws DatabaseError, or UsageError for an output file, that names the holder; OutputError for one
  /// where the system makes no lock, and why
  explicit RunLock(const std::filesystem::path& file, On on = On::database);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::filesystem::path file_;
  int fd_ = -1;
};

}  // namespace mmbatch
