#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "pipeline/graph/ticket.h"
#include "pipeline/watch/counters.h"

namespace mmbatch {

/// One line that is written over, plain lines, or nothing; automatic takes the first on a terminal.
enum class ProgressStyle { automatic, line, plain, none };

/// @throws UsageError that lists the styles
ProgressStyle progress_style(const std::string& name);

/// Memory of this process in bytes, now and at its peak.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();

/// "1.2 GiB", "3:07", for people.
std::string bytes_text(std::size_t bytes);
std::string duration_text(double seconds);

/// Shows on stderr the progress of a run, from a thread of its own, and calls `tick` several times a second.
class Progress {
 public:
  Progress(const Counters& counters, std::optional<std::uint64_t> total, ProgressStyle style,
           std::function<void()> tick);
  /// Ends the line.
  ~Progress();

 private:
  void run();
  std::string line(double seconds) const;

  const Counters& counters_;
  const std::optional<std::uint64_t> total_;
  const ProgressStyle style_;
  const std::function<void()> tick_;
  const Clock::time_point begin_ = Clock::now();
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace mmbatch
