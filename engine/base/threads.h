#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace mmbatch {

/// Where threads run: where the system puts them, or each on one core of those that the process may use.
enum class ThreadPlacement { anywhere, pinned };

/// The one TBB arena of the program: the flow graph, the stages and the kernels share its threads, so that
/// the machine is never oversubscribed. Thread-safe.
class Arena {
 public:
  /// @param threads at least 1; 0 takes one per core.
  /// @throws UsageError where there are fewer cores than threads to pin
  explicit Arena(int threads, ThreadPlacement placement = ThreadPlacement::anywhere);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Runs `work` inside the arena and waits for it; parallel_tiles() called in it uses the arena's threads.
  void run(const std::function<void()>& work);
  int threads() const { return threads_; }

 private:
  struct Impl;
  int threads_;
  std::unique_ptr<Impl> impl_;
};

/// How many threads parallel_tiles() has here: those of the caller's arena.
std::size_t threads_of_arena();

/// Calls body(0) … body(count - 1), in any order and on any thread of the caller's arena, and returns when
/// all are done. Isolated: while it waits, the calling thread takes no task of another item, so thread-local
/// scratch stays its own. A body must not depend on which thread runs it or on how many there are.
void parallel_tiles(std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace mmbatch
