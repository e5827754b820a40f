#include "pipeline/watch/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mmbatch {
namespace {

/// Standard error leads to a full disk while it lives.
class FullStandardError {
 public:
  FullStandardError() {
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    ::dup2(full, STDERR_FILENO);
    ::close(full);
  }
  ~FullStandardError() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }

 private:
  const int before_ = ::dup(STDERR_FILENO);
};

TEST(Progress, WhereItCannotBeWrittenTheRunGoesOn) {
  const Counters counters;
  std::atomic<int> ticks = 0;
  const FullStandardError full;
  const Progress progress(counters, 10, ProgressStyle::line, [&] { ++ticks; });
  // The second tick comes after a line was written, or tried.
  for (int i = 0; i < 600 && ticks < 3; ++i) ::usleep(100'000);
  EXPECT_GE(ticks, 3);
}

}  // namespace
}  // namespace mmbatch
