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

[[noreturn]] void refuse(const std::filesystem::path& file, const struct stat& status) {
  throw UsageError(
      fmt::format("{}: not a regular file{}", file.string(), S_ISDIR(status.st_mode) ? " but a folder" : ""));
}

/// A file descriptor of a regular file. It is looked at first: opening a device may do something, such as
/// rewind a tape. O_NONBLOCK, or a fifo that takes its place would wait for its writer.
int open_regular(const std::filesystem::path& file) {
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
  return fd;
}

/// zlib's own texts name a file descriptor instead of the file.
const char* said_of(int code) {
  switch (code) {
    case Z_ERRNO:
      return std::strerror(errno);
    case Z_BUF_ERROR:
      return "the compressed data ends too early";
    case Z_DATA_ERROR:
      return "the compressed data is damaged";
    case Z_MEM_ERROR:
      return "out of memory";
    default:
      return zError(code);
  }
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
  if (buffer_.find('\n') == std::string::npos && buffer_.find('\r') != std::string::npos) line_end_ = '\r';
}

ByteReader::~ByteReader() = default;

bool ByteReader::refill() {
  if (!fault_.empty()) return false;
  buffer_.resize(kBufferBytes);
  next_ = 0;
  const int got = gzread(stream_->file, buffer_.data(), kBufferBytes);
  buffer_.resize(static_cast<std::size_t>(std::max(got, 0)));
  int code = Z_OK;
  gzerror(stream_->file, &code);
  // A compressed file that was cut off gives what it has, then Z_BUF_ERROR.
  if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END)) {
    fault_ = fmt::format("the file cannot be read to its end: {}", said_of(code));
  }
  return got > 0;
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
