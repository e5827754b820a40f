#include "engine/base/threads.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <optional>

#include "engine/base/machine/pinned_threads.h"

namespace mmbatch {

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

void parallel_tiles(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  if (count == 1) return body(0);
  tbb::this_task_arena::isolate(
      [&] { tbb::parallel_for(std::size_t{0}, count, body, tbb::simple_partitioner{}); });
}

}  // namespace mmbatch
