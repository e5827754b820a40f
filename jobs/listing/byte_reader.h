#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace mmbatch {

/// A file descriptor of a regular file, to be read.
/// @throws UsageError when the file is missing, is not a regular file, not readable, or a pointer of Git LFS.
/// Never blocks on a fifo.
int open_regular_file(const std::filesystem::path& file);

/// The bytes of a listing file in their order, plain or gzip-compressed (told by content), behind a byte
/// order mark. Not thread-safe.
class ByteReader {
 public:
  /// @throws UsageError when the file is missing, no regular file or not readable. Never blocks on a fifo.
  explicit ByteReader(const std::filesystem::path& file);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  static constexpr int kEnd = -1;
  /// The next byte, or kEnd.
  int get() {
    if (next_ == buffer_.size() && !refill()) return kEnd;
    const char byte = buffer_[next_++];
    count(byte);
    return static_cast<unsigned char>(byte);
  }
  int peek() {
    if (next_ == buffer_.size() && !refill()) return kEnd;
    return static_cast<unsigned char>(buffer_[next_]);
  }
  /// Puts bytes that were read back before what is still to come; the first is in that line.
  void unread(std::string_view bytes, std::uint64_t line);

  enum class Line { read, too_long, end };
  /// Reads a line without its end: LF, CR LF, or CR in a file that begins with lines that end so. Of a line
  /// that is longer than `max_bytes` the rest is skipped.
  Line read_line(std::string& line, std::size_t max_bytes);

  /// The line, from 1, of the next byte. Lines end with LF, CR LF or CR.
  std::uint64_t line() {
    if (returns_ > 0 && peek() != '\n') end_returns();
    return line_;
  }
  /// Why reading ended before the end of the file; empty when it did not.
  const std::string& fault() const { return fault_; }

 private:
  bool refill();
  void count(char byte) {
    if (byte == '\n') {
      ++line_;
      returns_ = 0;
    } else if (byte == '\r') {
      ++returns_;
    } else if (returns_ > 0) {
      end_returns();
    }
  }
  void end_returns() { line_ += std::exchange(returns_, 0); }
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::string buffer_;
  std::size_t next_ = 0;
  std::uint64_t line_ = 1;
  std::uint64_t returns_ = 0;  // CRs at the end of what was read: a line's end each, unless an LF follows
  char line_end_ = '\n';       // of read_line()
  std::string fault_;
};

}  // namespace mmbatch
