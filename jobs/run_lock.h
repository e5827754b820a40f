#pragma once

#include <filesystem>
#include <string>

namespace mmbatch {

/// Keeps a second process from running jobs into the same database. The lock is the kernel's, on a file
/// beside the database (`<database>.lock`, with the holder's name in it), so that it ends with the process,
/// however it ends.
class RunLock {
 public:
  /// @throws DatabaseError that names the holder, or says why there can be no lock.
  explicit RunLock(const std::filesystem::path& database);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::filesystem::path file_;
  int fd_ = -1;
};

}  // namespace mmbatch
