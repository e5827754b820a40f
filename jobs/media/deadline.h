#pragma once

#include <chrono>
#include <string>

namespace mmbatch {

/// By when an item must be answered; by itself, at no time. A value.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  Deadline() = default;
  /// @param allowed 0: there is none
  Deadline(Clock::time_point begin, std::chrono::milliseconds allowed);

  /// The end of all time when there is none.
  Clock::time_point time() const { return time_; }
  bool passed() const;
  /// What is said of an item that was late.
  std::string message() const;
  /// To be called now and then in work that takes long.  @throws ItemError timeout
  void check() const;

 private:
  std::chrono::milliseconds allowed_{0};
  Clock::time_point time_ = Clock::time_point::max();
};

}  // namespace mmbatch
