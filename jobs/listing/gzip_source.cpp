#include "jobs/listing/gzip_source.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace mmbatch {

struct GzipSource::State {
  enum class Kind { unknown, plain, gzip, ended };

  explicit State(int fd) : descriptor(fd), buffer(256u << 10) {}
  ~State() {
    if (inflating) inflateEnd(&stream);
    ::close(descriptor);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::size_t left() const { return end - begin; }

  int descriptor;
  std::vector<unsigned char> buffer;
  std::size_t begin = 0, end = 0;  // of what was read and not used
  Kind kind = Kind::unknown;
  z_stream stream{};
  bool inflating = false;  // whether `stream` was initialised
};

GzipSource::GzipSource(int descriptor) : state_(std::make_unique<State>(descriptor)) {}
GzipSource::~GzipSource() = default;

/// Reads more behind what is left.  @returns false at the end of the file, or when it cannot be read
bool GzipSource::refill() {
  State& s = *state_;
  std::copy(s.buffer.begin() + static_cast<std::ptrdiff_t>(s.begin),
            s.buffer.begin() + static_cast<std::ptrdiff_t>(s.end), s.buffer.begin());
  s.end -= s.begin;
  s.begin = 0;
  ssize_t got = 0;
  do {
    got = ::read(s.descriptor, s.buffer.data() + s.end, s.buffer.size() - s.end);
  } while (got < 0 && errno == EINTR);
  if (got < 0) fault_ = std::strerror(errno);
  if (got > 0) s.end += static_cast<std::size_t>(got);
  return got > 0;
}

/// At the beginning of the file, or after a member.  @returns false when nothing more comes
bool GzipSource::begin_member() {
  using Kind = State::Kind;
  State& s = *state_;
  while (s.left() < 2 && refill()) {
  }
  if (!fault_.empty()) return false;
  const unsigned char* const at = s.buffer.data() + s.begin;
  const bool is_gzip = s.left() >= 2 && at[0] == 0x1f && at[1] == 0x8b;
  if (s.kind == Kind::unknown && !is_gzip) {
    s.kind = Kind::plain;
    return s.left() > 0;
  }
  if (is_gzip) {
    const int code = s.inflating ? inflateReset(&s.stream) : inflateInit2(&s.stream, 15 + 16);
    if (code != Z_OK) {
      fault_ = "out of memory";
      return false;
    }
    s.inflating = true;
    s.kind = Kind::gzip;
    return true;
  }
  s.kind = Kind::ended;
  do {
    const auto first = s.buffer.begin() + static_cast<std::ptrdiff_t>(s.begin);
    const auto last = s.buffer.begin() + static_cast<std::ptrdiff_t>(s.end);
    if (!std::all_of(first, last, [](unsigned char byte) { return byte == 0; })) {
      fault_ = "what follows the compressed data is not compressed: a part of it is damaged, or was appended";
      return false;
    }
    s.begin = s.end;
  } while (refill());
  return false;
}

std::size_t GzipSource::read(char* out, std::size_t size) {
  using Kind = State::Kind;
  State& s = *state_;
  if (!fault_.empty() || s.kind == Kind::ended) return 0;
  if (s.kind == Kind::unknown && !begin_member()) return 0;
  if (s.kind == Kind::plain) {
    if (s.left() == 0 && !refill()) return 0;
    const std::size_t count = std::min(size, s.left());
    std::memcpy(out, s.buffer.data() + s.begin, count);
    s.begin += count;
    return count;
  }
  s.stream.next_out = reinterpret_cast<Bytef*>(out);
  s.stream.avail_out = static_cast<uInt>(std::min<std::size_t>(size, 1u << 30));
  const uInt wanted = s.stream.avail_out;
  while (s.stream.avail_out == wanted && fault_.empty()) {
    if (s.left() == 0 && !refill()) {
      if (fault_.empty()) fault_ = "the compressed data ends too early";
      break;
    }
    s.stream.next_in = s.buffer.data() + s.begin;
    s.stream.avail_in = static_cast<uInt>(s.left());
    const int code = inflate(&s.stream, Z_NO_FLUSH);
    s.begin = s.end - s.stream.avail_in;
    if (code == Z_STREAM_END) {
      if (!begin_member()) break;
    } else if (code == Z_MEM_ERROR) {
      fault_ = "out of memory";
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      fault_ = "the compressed data is damaged";
    }
  }
  return wanted - s.stream.avail_out;
}

}  // namespace mmbatch
