#include "pipeline/run/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "pipeline/exit_code.h"

namespace mmbatch {

std::atomic<bool> interrupted{false};

void handle_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {
    if (interrupted.exchange(true)) ::_exit(static_cast<int>(ExitCode::interrupted));
  };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace mmbatch
