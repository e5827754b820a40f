#include "engine/base/machine/pinned_threads.h"

#include <fmt/format.h>
#include <sched.h>

#include <cstddef>
#include <span>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

/// As many cores as the kernel may number.
constexpr int kMostCores = 8192;

struct CoreSet {
  cpu_set_t bits[kMostCores / CPU_SETSIZE] = {};
};

/// A core may have been taken from the process meanwhile: then the thread stays where it is.
void run_on(std::span<const int> cores) {
  CoreSet set;
  for (const int core : cores) CPU_SET_S(static_cast<std::size_t>(core), sizeof(set), set.bits);
  ::sched_setaffinity(0, sizeof(set), set.bits);
}

}  // namespace

std::vector<int> usable_cores() {
  CoreSet set;
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), set.bits) != 0) return cores;
  for (int core = 0; core < kMostCores; ++core) {
    if (CPU_ISSET_S(static_cast<std::size_t>(core), sizeof(set), set.bits)) cores.push_back(core);
  }
  return cores;
}

PinnedThreads::PinnedThreads(tbb::task_arena& arena, int threads)
    : tbb::task_scheduler_observer(arena), cores_(usable_cores()) {
  const auto slots = static_cast<std::size_t>(threads);
  if (slots > cores_.size()) {
    throw UsageError(
        fmt::format("--pin-threads gives each of {} threads a core of its own, and this process may use {}: "
                    "take --threads {} or fewer, or leave it out",
                    threads, cores_.size(), cores_.size()));
  }
  for (std::size_t slot = 0; slot < slots; ++slot)
    core_of_slot_.push_back(cores_[slot * cores_.size() / slots]);
  observe(true);
}

PinnedThreads::~PinnedThreads() {
  observe(false);
}

void PinnedThreads::on_scheduler_entry(bool) {
  const int slot = tbb::this_task_arena::current_thread_index();
  if (slot >= 0 && static_cast<std::size_t>(slot) < core_of_slot_.size())
    run_on({&core_of_slot_[static_cast<std::size_t>(slot)], 1});
}

void PinnedThreads::on_scheduler_exit(bool) {
  run_on(cores_);
}

}  // namespace mmbatch
