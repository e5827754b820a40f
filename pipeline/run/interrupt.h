#pragma once

#include <atomic>

namespace mmbatch {

/// Set by the first Ctrl-C or SIGTERM: a run finishes what is in flight, stores it and ends. The second ends
/// the program at once.
extern std::atomic<bool> interrupted;
void handle_interrupts();

}  // namespace mmbatch
