#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include "vision/image/helper/descriptor.h"
#include "vision/image/helper/messages.h"

namespace mmbatch::helper {

/// A helper process. Ends with its object.
class Process {
 public:
  /// @throws ItemError unsupported when it cannot be started
  explicit Process(const std::filesystem::path& program, Kind kind = Kind::images);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  struct Task {
    Request request;
    int encoded = -1;  // files
    int pixels = -1;
    std::uint64_t memory = 0;  // bytes on top of what the process takes before any image
    std::chrono::milliseconds time{};
  };
  /// @return its reply, or how it ended instead; after that the object is of no more use
  std::variant<Reply, std::string> exchange(const Task& task);

  bool used() const { return used_; }
  /// For a child of the process that started it, which must not end it.
  void forget() { pid_ = -1; }

 private:
  void limit(const Task& task) const;
  /// Ends it unless it has ended, and reaps it.  @return how it ended by itself
  std::string end();
  /// Waits for a message of that size. @return false when none came: timed_out_ says why
  bool receive(void* message, std::size_t size, std::chrono::milliseconds time);

  pid_t pid_ = -1;
  Descriptor socket_;
  std::uint64_t base_memory_ = 0;
  bool used_ = false;
  bool timed_out_ = false;
};

}  // namespace mmbatch::helper
