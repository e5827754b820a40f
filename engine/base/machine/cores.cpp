#include "engine/base/machine/cores.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "engine/base/machine/numa.h"

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

const std::vector<int>& cores_of_process() {
  static const std::vector<int> cores = usable_cores();
  return cores;
}

std::vector<std::size_t> threads_of_core(int core) {
  std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", core));
  std::string line;
  std::getline(file, line);
  return numbers_of_list(line);
}

std::vector<int> cores_for(std::size_t count, std::span<const int> usable,
                           const std::function<std::vector<std::size_t>(int)>& threads_of) {
  std::vector<std::vector<int>> rounds;      // the first thread of each core, the second …
  std::map<std::size_t, std::size_t> taken;  // of a core, which its first thread names
  for (const int core : usable) {
    const std::vector<std::size_t> threads = threads_of(core);
    const std::size_t first =
        threads.empty() ? static_cast<std::size_t>(core) : *std::min_element(threads.begin(), threads.end());
    const std::size_t round = taken[first]++;
    if (round == rounds.size()) rounds.emplace_back();
    rounds[round].push_back(core);
  }
  std::vector<int> chosen;
  for (const std::vector<int>& round : rounds) {
    const std::size_t wanted = std::min(count - chosen.size(), round.size());
    for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(round[i * round.size() / wanted]);
  }
  return chosen;
}

void run_on(std::span<const int> cores) {
  CoreSet set;
  for (const int core : cores) CPU_SET_S(static_cast<std::size_t>(core), sizeof(set), set.bits);
  ::sched_setaffinity(0, sizeof(set), set.bits);
}

OnAllCores::OnAllCores() : before_(usable_cores()) {
  if (before_ != cores_of_process()) run_on(cores_of_process());
}
OnAllCores::~OnAllCores() {
  if (before_ != cores_of_process()) run_on(before_);
}

}  // namespace mmbatch
