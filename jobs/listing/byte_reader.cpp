#include "jobs/listing/byte_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "engine/base/error.h"
#include "engine/base/files/lfs_pointer.h"
#include "jobs/listing/gzip_source.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBufferBytes = 256u << 10;

[[noreturn]] void refuse(const std::filesystem::path& file, const struct stat& status) {
  throw UsageError(
      fmt::format("{}: not a regular file{}", file.string(), S_ISDIR(status.st_mode) ? " but a folder" : ""));
}

}  // namespace

/// It is looked at first: opening a device may do something, such as rewind a tape. O_NONBLOCK, or a fifo
/// that takes its place would wait for its writer.
int open_regular_file(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) refuse(file, status);
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int reason = errno;
    throw UsageError(reason == ENOENT
                         ? fmt::format("{}: no such file", file.string())
                         : fmt::format("{}: cannot be read: {}", file.string(), std::strerror(reason)));
  }
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    refuse(file, status);
  }
  std::array<char, kLfsPointerBytes> beginning{};
  const ssize_t got = ::pread(fd, beginning.data(), beginning.size(), 0);
  if (got > 0 && is_lfs_pointer({beginning.data(), static_cast<std::size_t>(got)})) {
    ::close(fd);
    throw UsageError(fmt::format("{}: {}", file.string(), kLfsPointerFault));
  }
  return fd;
}

struct ByteReader::Stream {
  explicit Stream(int descriptor) : source(descriptor) {}
  GzipSource source;
};

ByteReader::ByteReader(const std::filesystem::path& file)
    : stream_(std::make_unique<Stream>(open_regular_file(file))) {
  if (refill() && buffer_.compare(0, 3, "\xEF\xBB\xBF") == 0) next_ = 3;
  if (buffer_.find('\n') == std::string::npos && buffer_.find('\r') != std::string::npos) line_end_ = '\r';
}

ByteReader::~ByteReader() = default;

bool ByteReader::refill() {
  if (!fault_.empty()) return false;
  buffer_.resize(kBufferBytes);
  next_ = 0;
  buffer_.resize(stream_->source.read(buffer_.data(), kBufferBytes));
  if (buffer_.empty() && !stream_->source.fault().empty())
    fault_ = fmt::format("the file cannot be read to its end: {}", stream_->source.fault());
  return !buffer_.empty();
}

void ByteReader::unread(std::string_view bytes, std::uint64_t line) {
  buffer_.replace(0, next_, bytes);
  next_ = 0;
  line_ = line;
  returns_ = 0;
}

ByteReader::Line ByteReader::read_line(std::string& line, std::size_t max_bytes) {
  line.clear();
  if (peek() == kEnd) return Line::end;
  line_ = this->line();
  returns_ = 0;
  Line result = Line::read;
  for (;;) {
    if (next_ == buffer_.size() && !refill()) break;
    const std::size_t end = buffer_.find(line_end_, next_);
    const std::size_t stop = std::min(end, buffer_.size());
    if (line.size() + (stop - next_) > max_bytes) result = Line::too_long;
    if (result == Line::read) line.append(buffer_, next_, stop - next_);
    next_ = stop;
    if (end != std::string::npos) {
      ++next_;
      ++line_;
      break;
    }
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return result;
}

}  // namespace mmbatch
