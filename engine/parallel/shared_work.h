#pragma once

#include <cstddef>

namespace mmbatch {

class MessageReader;

/// Work that all processes do at the same time, each its part, whenever rank 0 says with what.
class SharedWork {
 public:
  virtual ~SharedWork() = default;
  /// In another process than rank 0: does its part of what the message says. Called by one thread at a time.
  /// @throws std::exception for what ends all processes
  virtual void follow(MessageReader& message) const = 0;
  /// Of the weights that this process has for it.
  virtual std::size_t bytes() const = 0;
};

}  // namespace mmbatch
