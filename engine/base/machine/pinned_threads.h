#pragma once

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <vector>

namespace mmbatch {

/// The cores that this thread may run on, by number.
std::vector<int> usable_cores();

/// While it lives, threads inside an arena run on a core each: the slot that a thread takes there says on
/// which. Slots are spread evenly over the cores, whose neighbours are mostly those of one socket.
class PinnedThreads : public tbb::task_scheduler_observer {
 public:
  /// @throws UsageError where there are fewer cores than threads
  PinnedThreads(tbb::task_arena& arena, int threads);
  ~PinnedThreads() override;
  PinnedThreads(const PinnedThreads&) = delete;
  PinnedThreads& operator=(const PinnedThreads&) = delete;

  void on_scheduler_entry(bool is_worker) override;
  void on_scheduler_exit(bool is_worker) override;

 private:
  std::vector<int> cores_;
  std::vector<int> core_of_slot_;
};

}  // namespace mmbatch
