#include "jobs/listing/byte_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

constexpr unsigned kBufferBytes = 256u << 10;

/// A file descriptor of a regular file; O_NONBLOCK, or a fifo would wait for its writer.
int open_regular(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int reason = errno;
    throw UsageError(reason == ENOENT
                         ? fmt::format("{}: no such file", file.string())
                         : fmt::format("{}: cannot be read: {}", file.string(), std::strerror(reason)));
  }
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw UsageError(fmt::format("{}: not a regular file", file.string()));
  }
  return fd;
}

}  // namespace

struct ByteReader::Stream {
  gzFile file = nullptr;
  ~Stream() {
    if (file != nullptr) gzclose_r(file);
  }
};

ByteReader::ByteReader(const std::filesystem::path& file) : stream_(std::make_unique<Stream>()) {
  const int fd = open_regular(file);
  stream_->file = gzdopen(fd, "rb");  // takes files that are not compressed as they are
  if (stream_->file == nullptr) {
    ::close(fd);
    throw UsageError(fmt::format("{}: cannot be read: out of memory", file.string()));
  }
  gzbuffer(stream_->file, kBufferBytes);
  if (refill() && buffer_.compare(0, 3, "\xEF\xBB\xBF") == 0) next_ = 3;
}

ByteReader::~ByteReader() = default;

bool ByteReader::refill() {
  if (!fault_.empty()) return false;
  buffer_.resize(kBufferBytes);
  next_ = 0;
  const int got = gzread(stream_->file, buffer_.data(), kBufferBytes);
  buffer_.resize(static_cast<std::size_t>(std::max(got, 0)));
  int code = Z_OK;
  const char* problem = gzerror(stream_->file, &code);
  // A compressed file that was cut off gives what it has, then Z_BUF_ERROR.
  if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END)) {
    fault_ = fmt::format("the file cannot be read to its end: {}",
                         code == Z_ERRNO ? std::strerror(errno) : problem);
  }
  return got > 0;
}

void ByteReader::unread(std::string_view bytes) {
  buffer_.replace(0, next_, bytes);
  next_ = 0;
  line_ -= static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

ByteReader::Line ByteReader::read_line(std::string& line, std::size_t max_bytes) {
  line.clear();
  if (peek() == kEnd) return Line::end;
  Line result = Line::read;
  for (;;) {
    if (next_ == buffer_.size() && !refill()) break;
    const std::size_t end = buffer_.find('\n', next_);
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
