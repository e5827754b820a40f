#include "engine/kernels/simd.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"

namespace mmbatch {

// One table for each instruction set: simd/table.cpp, compiled with that set's flags.
namespace isa_portable {
extern const SimdKernels kTable;
}
namespace isa_avx2 {
extern const SimdKernels kTable;
}
namespace isa_avx512 {
extern const SimdKernels kTable;
}
namespace isa_avx512_bf16 {
extern const SimdKernels kTable;
}

namespace {

bool runs_here(std::string_view name) {
  if (name == "avx512_bf16") {
    return runs_here("avx512") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512bf16");
  }
  if (name == "avx512") {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd");
  }
  if (name == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return name == "portable";
}

const SimdKernels& choose() {
  const SimdKernels* const tables[] = {&isa_avx512_bf16::kTable, &isa_avx512::kTable, &isa_avx2::kTable,
                                       &isa_portable::kTable};
  const char* wanted = std::getenv("MMBATCH_ISA");
  for (const SimdKernels* table : tables) {
    const bool asked = wanted == nullptr || *wanted == '\0' || std::string_view(wanted) == table->name;
    if (asked && runs_here(table->name)) return *table;
  }
  throw UsageError(
      fmt::format("MMBATCH_ISA={} is not available on this machine; allowed are avx512_bf16, avx512, "
                  "avx2 and portable, as far as the processor has them",
                  wanted));
}

}  // namespace

const SimdKernels& simd() {
  static const SimdKernels& chosen = choose();
  return chosen;
}

}  // namespace mmbatch
