#include "engine/base/machine/cores.h"

#include <sched.h>

#include <cstddef>

namespace mmbatch {
namespace {

/// As many cores as the kernel may number.
constexpr int kMostCores = 8192;

struct CoreSet {
  cpu_set_t bits[kMostCores / CPU_SETSIZE] = {};
};

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

void run_on(std::span<const int> cores) {
  CoreSet set;
  for (const int core : cores) CPU_SET_S(static_cast<std::size_t>(core), sizeof(set), set.bits);
  ::sched_setaffinity(0, sizeof(set), set.bits);
}

}  // namespace mmbatch
