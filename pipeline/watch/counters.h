#pragma once

#include <atomic>
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
};

}  // namespace mmbatch
