#include "bench/machine/memory.h"

#include <unistd.h>

#include <fstream>

namespace mmbatch::bench {

std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;  // in pages
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace mmbatch::bench
