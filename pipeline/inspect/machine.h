#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace mmbatch {

/// The machine as this process sees it.
struct MachineInfo {
  std::string processor;                    // as it names itself
  std::size_t cores = 0;                    // that the process may run on
  std::optional<double> cpu_limit;          // of a container: processor time per second of time
  std::size_t memory = 0;                   // bytes
  std::size_t memory_available = 0;         // bytes, without swapping
  std::optional<std::size_t> memory_limit;  // of a container, bytes
};

MachineInfo this_machine();

}  // namespace mmbatch
