#include "engine/kernels/simd.h"

#include <cpuid.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"

namespace mmbatch {

// One table for each level: simd/table.cpp, compiled with that level's flags. Those that CMake's
// MMBATCH_LEVELS leaves out are empty.
namespace isa_portable {
extern const SimdKernels kTable;
}
namespace isa_sse4_2 {
extern const SimdKernels kTable;
}
namespace isa_avx2 {
extern const SimdKernels kTable;
}
namespace isa_avx_vnni {
extern const SimdKernels kTable;
}
namespace isa_avx512 {
extern const SimdKernels kTable;
}
namespace isa_avx512_vnni {
extern const SimdKernels kTable;
}
namespace isa_avx512_vnni_bf16 {
extern const SimdKernels kTable;
}
namespace isa_avx512_vnni_bf16_amx {
extern const SimdKernels kTable;
}

namespace {

/// AVX-VNNI, the 256-bit instructions of processors without AVX-512, which not every compiler can ask for.
bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

bool has_sse4_2() {
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
         __builtin_cpu_supports("popcnt");
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd");
}
bool has_avx512_vnni() {
  return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
bool has_bf16() {
  return has_avx512_vnni() && __builtin_cpu_supports("avx512bf16");
}

/// Intel's processors multiply pairs of bfloat16 by VDPBF16PS, without tiles, at half the speed at which they
/// multiply and add floats: measured on Emerald Rapids (175 and 350 GFLOP/s on two cores); Sapphire Rapids
/// was as slow beside its products of bytes.
SimdLevel bf16_level() {
  return {.kernels = &isa_avx512_vnni_bf16::kTable,
          .runs_here = has_bf16(),
          .slower = __builtin_cpu_is("intel") != 0};
}

/// AMX's tiles, with products of bytes and of bfloat16.
bool has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25, kAll = kBf16 | kTile | kInt8;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAll) == kAll;
}

/// Linux gives their registers to processes that ask for them, from version 5.16 on; threads that there are
/// already have them too.
SimdLevel amx_level() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  SimdLevel level{&isa_avx512_vnni_bf16_amx::kTable, has_amx()};
  if (level.runs_here && syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) {
    level.runs_here = false;
    level.refusal = errno;
  }
  return level;
}

const SimdKernels& choose() {
  const char* variable = std::getenv("MMBATCH_ISA");
  const std::string_view wanted = variable == nullptr ? "" : variable;
  std::vector<std::string> here;
  for (const SimdLevel& level : simd_levels()) {
    if (!level.runs_here) continue;
    if (wanted.empty() ? !level.slower : wanted == level.kernels->name) return *level.kernels;
    here.push_back(level.kernels->name);
  }
  throw UsageError(
      fmt::format("MMBATCH_ISA={} is not available in this program on this machine; allowed here are {}",
                  wanted, fmt::join(here, ", ")));
}

}  // namespace

std::vector<SimdLevel> simd_levels() {
  static const SimdLevel amx = amx_level();
  std::vector<SimdLevel> levels = {amx,
                                   bf16_level(),
                                   {&isa_avx512_vnni::kTable, has_avx512_vnni()},
                                   {&isa_avx512::kTable, has_avx512()},
                                   {&isa_avx_vnni::kTable, has_avx2() && has_avx_vnni()},
                                   {&isa_avx2::kTable, has_avx2()},
                                   {&isa_sse4_2::kTable, has_sse4_2()},
                                   {&isa_portable::kTable, true}};
  std::erase_if(levels, [](const SimdLevel& level) { return level.kernels->name == nullptr; });
  return levels;
}

const SimdKernels& simd() {
  static const SimdKernels& chosen = choose();
  return chosen;
}

}  // namespace mmbatch
