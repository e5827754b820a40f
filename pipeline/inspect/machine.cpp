#include "pipeline/inspect/machine.h"

#include <sched.h>

#include <fstream>
#include <sstream>

#include "engine/base/memory_limits.h"

namespace mmbatch {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(": ") + 2);
  }
  return "unknown processor";
}

std::size_t usable_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<std::size_t>(CPU_COUNT(&set));
}

/// A line of /proc/meminfo in bytes; 0 when there is no such line.
std::size_t meminfo(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    std::size_t kib = 0;
    if (words >> key >> kib && key == name + ":") return kib * 1024;
  }
  return 0;
}

std::optional<double> cpu_limit() {
  std::ifstream second("/sys/fs/cgroup/cpu.max");  // version 2: "quota period"
  double quota = 0, period = 0;
  if (second >> quota >> period && period > 0) return quota / period;
  const auto time = control_group_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  const auto of = control_group_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (time && of) return *time / *of;
  return {};
}

}  // namespace

MachineInfo this_machine() {
  const std::size_t memory = meminfo("MemTotal");
  return {.processor = processor_name(),
          .cores = usable_cores(),
          .cpu_limit = cpu_limit(),
          .memory = memory,
          .memory_available = meminfo("MemAvailable"),
          .memory_limit = control_group_memory(memory)};
}

}  // namespace mmbatch
