#include "bench/machine/memory.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>

namespace mmbatch::bench {

std::size_t resident_bytes() {
  ::malloc_trim(0);
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;  // in pages
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::string memory_text(double held, double computed) {
  constexpr double kMiB = 1 << 20;
  return fmt::format("{:.0f} MiB of memory, {:.0f} as inspect computes them: {:.2f} of that", held / kMiB,
                     computed / kMiB, held / computed);
}

}  // namespace mmbatch::bench
