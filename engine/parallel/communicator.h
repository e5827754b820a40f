#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mmbatch {

/// Processes that compute one model together. Rank 0 leads: it says what is computed, the others follow. All
/// are called by one thread at a time, and by all processes in the same order. A process that dies ends them
/// all: whoever started them sees to that.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual std::size_t rank() const = 0;
  virtual std::size_t size() const = 0;
  /// Of them, on this machine.
  virtual std::size_t size_here() const = 0;

  /// Every process gets what each has, in the order of ranks.  @param all [size · count]
  virtual void gather_everywhere(const float* own, std::size_t count, float* all) = 0;
  /// Rank 0 gets it; `all` is read by nobody else.
  virtual void gather(const float* own, std::size_t count, float* all) = 0;
  /// From rank 0 to all others, which are in receive().
  virtual void send(std::span<const std::byte> message) = 0;
  /// Waits for the next message of rank 0, without keeping a core busy.
  virtual std::vector<std::byte> receive() = 0;
  /// Ends all processes, where one of them cannot go on in the middle of what they do together.
  [[noreturn]] virtual void end_all(const std::string& why) = 0;
};

/// A process alone.
std::shared_ptr<Communicator> no_others();

}  // namespace mmbatch
