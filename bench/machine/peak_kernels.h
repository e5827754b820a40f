#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mmbatch::bench {

/// One thread's loop that does nothing but multiply and add in registers.
struct PeakKernel {
  std::string_view name;
  bool (*runs_here)();
  double operations_per_round;
  /// @param sink gets something that depends on every sum, so that none is left out
  void (*run)(std::size_t rounds, float* sink);
};

/// The fastest of the level that kernels run at; null when it has no such instructions.
const PeakKernel* f32_peak_kernel();
const PeakKernel* bf16_peak_kernel();
const PeakKernel* int8_peak_kernel();
/// Half bytes times bytes: sums of some of their products fit into sixteen bits.
const PeakKernel* int4_peak_kernel();

/// Prefetching runs this many bytes ahead.
constexpr std::size_t kReadAhead = 8192;
/// Reads `bytes` (a multiple of 4096) from `data`, 64-byte aligned, once, front to back; kReadAhead bytes
/// behind them may be fetched too.
std::uint64_t read_all(const std::byte* data, std::size_t bytes);

}  // namespace mmbatch::bench
