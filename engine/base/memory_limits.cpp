#include "engine/base/memory_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace mmbatch {
namespace {

std::size_t pages(int which) {
  return static_cast<std::size_t>(::sysconf(which)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// What is left of the address space; none where nothing limits it.
std::optional<std::size_t> address_space_left() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  std::size_t used = 0;  // in pages
  std::ifstream("/proc/self/statm") >> used;
  used *= static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<std::size_t>(used, limit.rlim_cur);
}

}  // namespace

std::optional<double> control_group_number(const char* file) {
  std::ifstream in(file);
  double number = 0;
  if (in >> number && number > 0) return number;
  return {};
}

std::optional<std::size_t> control_group_memory(std::size_t memory) {
  auto limit = control_group_number("/sys/fs/cgroup/memory.max");
  if (!limit) limit = control_group_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  if (!limit || *limit >= static_cast<double>(memory)) return {};  // version 1 says a huge number for none
  return static_cast<std::size_t>(*limit);
}

std::size_t machine_memory() {
  return pages(_SC_PHYS_PAGES);
}

std::size_t memory_at_most() {
  const std::size_t machine = machine_memory();
  rlimit limit{};
  const bool limited = ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return std::min({machine, control_group_memory(machine).value_or(machine),
                   limited ? static_cast<std::size_t>(limit.rlim_cur) : machine});
}

std::size_t memory_to_plan_with() {
  const std::size_t free = pages(_SC_AVPHYS_PAGES);
  return std::min(
      {free, control_group_memory(machine_memory()).value_or(free), address_space_left().value_or(free)});
}

}  // namespace mmbatch
