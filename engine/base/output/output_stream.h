#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "engine/base/output/output_error.h"

namespace mmbatch {

/// Who reads what is written.
enum class Audience {
  people,    // tables and messages: always as visible() shows them
  programs,  // data: the true bytes, but on a terminal, too, as visible() shows them
};

/// A stream to a file descriptor that never loses an error: whatever cannot be written, the last bytes
/// included, is an OutputError that says why. Where the reader of a pipe has gone, the program ends as one
/// that got SIGPIPE, without a word. Not thread-safe.
class OutputStream : public std::ostream {
 public:
  /// The standard output.
  explicit OutputStream(Audience audience);
  /// @param descriptor closed with the stream  @param name for messages
  OutputStream(int descriptor, const std::string& name, Audience audience);
  /// Without finish() what is still in the buffer is not written.
  ~OutputStream() override;
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  /// Writes what is left, and asks the system whether all of it was taken.  @throws OutputError
  void finish();
  /// The same, and puts it on the disk.  @throws OutputError
  void sync_and_finish();

 private:
  class Buffer;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace mmbatch
