#pragma once

#include <string>

namespace mmbatch {

/// While one lives, what the calling thread writes to std::cerr or C's `stderr` is kept here instead of being
/// printed. Image codecs report damage in no other way: libpng and libjpeg print to `stderr`, OpenCV to
/// std::cerr, and neither lets its caller choose another sink.
///
/// The first object puts pass-through streams behind both names, for good: glibc documents `stderr` as a
/// variable that may be set. Other threads, and this one afterwards, print as before, unbuffered, to the same
/// file descriptor 2; only fileno(stderr) has no answer any more (use STDERR_FILENO).
/// One at a time in a thread; any number of threads.
class CapturedErrors {
 public:
  CapturedErrors();
  ~CapturedErrors();
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;

  /// What was written so far, at most a few KiB of it.
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace mmbatch
