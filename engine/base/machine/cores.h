#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace mmbatch {

/// The cores that this thread may run on, by number; empty where the system does not say. What the system
/// numbers as cores may be several threads of one.
std::vector<int> usable_cores();

/// The same, of the thread that asked first: ask before threads are pinned.
const std::vector<int>& cores_of_process();

/// The numbers of a core's threads, itself among them; empty where the system does not say.
std::vector<std::size_t> threads_of_core(int core);

/// A core for each of `count` threads: one thread of each core before a second one of any, and fewer threads
/// than cores spread evenly.  @param count at most as many as `usable`
std::vector<int> cores_for(std::size_t count, std::span<const int> usable,
                           const std::function<std::vector<std::size_t>(int)>& threads_of);

/// From now on this thread runs on these cores alone. Where they have been taken from the process meanwhile,
/// it stays where it is.
void run_on(std::span<const int> cores);

/// While it lives, this thread runs on all cores of the process, as what it starts does for good.
class OnAllCores {
 public:
  OnAllCores();
  ~OnAllCores();
  OnAllCores(const OnAllCores&) = delete;
  OnAllCores& operator=(const OnAllCores&) = delete;

 private:
  std::vector<int> before_;
};

}  // namespace mmbatch
