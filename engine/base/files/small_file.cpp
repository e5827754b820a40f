#include "engine/base/files/small_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mmbatch {
namespace {

Error fault(const std::string& problem) {
  return {ErrorCode::invalid_value, problem};
}

Error cannot_read(int reason) {
  return fault(fmt::format("cannot be read: {}", std::strerror(reason)));
}

Result<std::string> read_open(int fd, std::size_t max_bytes) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return fault("not a regular file");
  std::string bytes(max_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_bytes) return fault(fmt::format("more than {} KiB", max_bytes >> 10));
  bytes.resize(size);
  return bytes;
}

}  // namespace

Result<std::string> read_small_file(const std::filesystem::path& file, std::size_t max_bytes) {
  // It is looked at first: opening a device may do something, such as rewind a tape.
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) return fault("not a regular file");
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return cannot_read(errno);
  Result<std::string> bytes = read_open(fd, max_bytes);
  ::close(fd);
  return bytes;
}

}  // namespace mmbatch
