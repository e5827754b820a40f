#include "engine/base/threads.h"

#include <fmt/format.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <optional>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/machine/cores.h"

namespace mmbatch {
namespace {

/// While it lives, threads inside an arena run on a core each: the slot that a thread takes there says on
/// which. TBB's own threads may stay there when the arena is gone.
class PinnedThreads : public tbb::task_scheduler_observer {
 public:
  PinnedThreads(tbb::task_arena& arena, int threads) : tbb::task_scheduler_observer(arena) {
    const auto slots = static_cast<std::size_t>(threads);
    const std::vector<int>& cores = cores_of_process();
    if (slots > cores.size()) {
      throw UsageError(fmt::format(
          "--pin-threads gives each of {} threads a core of its own, and this process may use {}: "
          "take --threads {} or fewer, or leave it out",
          threads, cores.size(), cores.size()));
    }
    core_of_slot_ = cores_for(slots, cores, threads_of_core);
    observe(true);
  }
  ~PinnedThreads() override { observe(false); }
  PinnedThreads(const PinnedThreads&) = delete;
  PinnedThreads& operator=(const PinnedThreads&) = delete;

  void on_scheduler_entry(bool) override {
    const int slot = tbb::this_task_arena::current_thread_index();
    if (slot >= 0 && static_cast<std::size_t>(slot) < core_of_slot_.size())
      run_on({&core_of_slot_[static_cast<std::size_t>(slot)], 1});
  }
  void on_scheduler_exit(bool) override { run_on(cores_of_process()); }

 private:
  std::vector<int> core_of_slot_;
};

}  // namespace

struct Arena::Impl {
  Impl(int threads, ThreadPlacement placement)
      : allowed(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)),
        arena(threads) {
    if (placement == ThreadPlacement::pinned) pinned.emplace(arena, threads);
  }
  tbb::global_control allowed;  // or TBB would warn of, and not give, more threads than cores
  tbb::task_arena arena;
  std::optional<PinnedThreads> pinned;
};

Arena::Arena(int threads, ThreadPlacement placement)
    : threads_(threads > 0 ? threads : tbb::info::default_concurrency()),
      impl_(std::make_unique<Impl>(threads_, placement)) {}
Arena::~Arena() = default;

void Arena::run(const std::function<void()>& work) {
  impl_->arena.execute(work);
}

std::size_t threads_of_arena() {
  return static_cast<std::size_t>(tbb::this_task_arena::max_concurrency());
}

void parallel_tiles(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  if (count == 1) return body(0);
  tbb::this_task_arena::isolate(
      [&] { tbb::parallel_for(std::size_t{0}, count, body, tbb::simple_partitioner{}); });
}

}  // namespace mmbatch
