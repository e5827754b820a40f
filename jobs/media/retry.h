#pragma once

#include <chrono>
#include <thread>

#include "engine/base/error.h"

namespace mmbatch {

/// A fault of a file that may be gone in a moment: it is busy, or its server was.
class PassingFault : public ItemError {
 public:
  using ItemError::ItemError;
};

/// Whether an errno is such a fault.
bool may_pass(int reason);

struct RetryOptions {
  int attempts = 4;
  std::chrono::milliseconds first_pause{10};  // then four times as long each time
};

/// Does `work` again while it throws PassingFault; the last attempt's fault is thrown on.
template <class Work>
auto retried(Work&& work, const RetryOptions& options = {}) {
  auto pause = options.first_pause;
  for (int attempt = 1;; ++attempt) {
    try {
      return work();
    } catch (const PassingFault&) {
      if (attempt >= options.attempts) throw;
    }
    std::this_thread::sleep_for(pause);
    pause *= 4;
  }
}

}  // namespace mmbatch
