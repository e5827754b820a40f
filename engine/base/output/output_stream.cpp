#include "engine/base/output/output_stream.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <vector>

#include "engine/base/output/output_error.h"
#include "engine/base/text/utf8.h"
#include "engine/base/text/visible.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

/// As the default of SIGPIPE ends a program, also where whoever started this one had it ignored.
[[noreturn]] void end_by_closed_pipe() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  ::_exit(128 + SIGPIPE);
}

}  // namespace

class OutputStream::Buffer : public std::streambuf {
 public:
  Buffer(int descriptor, std::string name, Audience audience)
      : descriptor_(descriptor),
        name_(std::move(name)),
        shows_(audience == Audience::people || ::isatty(descriptor) == 1),
        buffer_(kBufferBytes) {
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }

  /// Nothing more may come: an unfinished character is written as the bytes that it is.
  void write_rest() {
    pass_on();
    write(visible(unfinished_));
    unfinished_.clear();
  }
  void sync_to_disk() {
    // Pipes and terminals have no disk.
    if (::fdatasync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS) fail();
  }
  /// A file system over a network, or with quotas, may tell only now.
  void close() {
    const int own = std::exchange(descriptor_, -1);
    // The standard output stays open for the program's end; closing a copy asks the same question.
    const int closed = own == STDOUT_FILENO ? ::dup(own) : own;
    if (closed >= 0 && ::close(closed) != 0 && errno != EINTR) fail();
  }
  bool is_open() const { return descriptor_ >= 0; }

  ~Buffer() override {
    if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
  }

 protected:
  int_type overflow(int_type c) override {
    pass_on();
    if (c != traits_type::eof()) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    // What is large, such as a model's tensors, is not copied first.
    if (shows_ || size < static_cast<std::streamsize>(kBufferBytes))
      return std::streambuf::xsputn(text, size);
    pass_on();
    write({text, static_cast<std::size_t>(size)});
    return size;
  }
  int sync() override {
    pass_on();
    return 0;
  }

 private:
  [[noreturn]] void fail() const {
    if (errno == EPIPE) end_by_closed_pipe();
    throw OutputError(fmt::format("{}: cannot be written: {}", name_, std::strerror(errno)));
  }

  void pass_on() {
    const std::string_view text(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    if (text.empty()) return;
    if (!shows_) {
      write(text);
    } else {
      std::string whole = std::exchange(unfinished_, {});
      whole += text;
      // A character may be cut by the buffer's end, or come in pieces.
      for (std::size_t back = 1; back <= 3 && back <= whole.size(); ++back) {
        if (!utf8_incomplete(std::string_view(whole).substr(whole.size() - back))) continue;
        unfinished_ = whole.substr(whole.size() - back);
        whole.erase(whole.size() - back);
        break;
      }
      write(visible(whole));
    }
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }

  void write(std::string_view rest) {
    while (!rest.empty()) {
      const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written == 0) errno = EIO;
      if (written <= 0) {
        setp(buffer_.data(), buffer_.data() + buffer_.size());  // what failed is not tried again
        fail();
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  int descriptor_;
  std::string name_;
  bool shows_;
  std::vector<char> buffer_;
  std::string unfinished_;
};

OutputStream::OutputStream(Audience audience) : OutputStream(STDOUT_FILENO, "standard output", audience) {}

OutputStream::OutputStream(int descriptor, const std::string& name, Audience audience)
    : std::ostream(nullptr), buffer_(std::make_unique<Buffer>(descriptor, name, audience)) {
  rdbuf(buffer_.get());
  exceptions(std::ios::badbit);  // lets the buffer's own exception through
}

OutputStream::~OutputStream() = default;

void OutputStream::finish() {
  if (!buffer_->is_open()) return;
  buffer_->write_rest();
  buffer_->close();
}

void OutputStream::sync_and_finish() {
  buffer_->write_rest();
  buffer_->sync_to_disk();
  buffer_->close();
}

}  // namespace mmbatch
