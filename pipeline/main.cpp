#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "pipeline/commands/command_line.h"
#include "vision/image/helper/image_helper.h"

namespace {

/// A standard stream that is closed stays one that cannot be used: else the next file that is opened would
/// get its number, and what is written to the stream.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // Gets the lowest number that is free.
    [[maybe_unused]] const int held = ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

/// Ends the process. Under a limit of its address space (ulimit -v) a thread that OpenBLAS starts when the
/// program is loaded may ask for memory for ever, and exit() would wait for it.
int end(int code) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return code;
  std::fflush(nullptr);
  std::_Exit(code);
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // what would be too large for its limit is told as a full disk is
  if (const auto kind = mmbatch::helper_asked_for(argc, argv)) return mmbatch::serve_as_helper(*kind);
  return end(mmbatch::run_command_line(argc, argv));
}
