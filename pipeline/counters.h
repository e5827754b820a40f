#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace mmbatch {

/// What a run has done so far; written by the nodes, read by progress line, metrics and summary.
struct Counters {
  std::atomic<std::uint64_t> done{0};      // all of the below
  std::atomic<std::uint64_t> answered{0};  // in this run
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> resumed{0};  // answered by an earlier run
  std::atomic<std::uint64_t> answer_tokens{0};
  std::atomic<std::uint64_t> prompt_tokens{0};
  std::atomic<std::uint64_t> prompt_tokens_reused{0};
  std::atomic<std::uint64_t> item_us{0};  // admission to answer, added up over answered items
  // Time in stages, added up over threads.
  std::atomic<std::uint64_t> read_us{0}, admit_us{0}, text_us{0}, store_us{0};
};

/// Adds the time for which it lives to a counter.
class StageTimer {
 public:
  explicit StageTimer(std::atomic<std::uint64_t>& microseconds) : microseconds_(microseconds) {}
  ~StageTimer() {
    using namespace std::chrono;
    microseconds_ +=
        static_cast<std::uint64_t>(duration_cast<microseconds>(steady_clock::now() - begin_).count());
  }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  std::atomic<std::uint64_t>& microseconds_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace mmbatch
