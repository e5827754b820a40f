#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mmbatch::bench {

/// One thread's loop that does nothing but multiply and add in registers.
struct PeakKernel {
  std::string_view name;
  bool (*runs_here)();
  double operations_per_round;
  /// @param sink gets something that depends on every sum, so that none is left out
  void (*run)(std::size_t rounds, float* sink);
};

/// Those that may run at the level that kernels run at, of which the widest is not always the fastest; empty
/// when it has no such instructions.
std::vector<PeakKernel> f32_peak_kernels();
std::vector<PeakKernel> bf16_peak_kernels();
std::vector<PeakKernel> int16_peak_kernels();
std::vector<PeakKernel> int8_peak_kernels();
/// Half bytes times bytes: sums of some of their products fit into sixteen bits.
std::vector<PeakKernel> int4_peak_kernels();

/// Prefetching runs this many bytes ahead.
constexpr std::size_t kReadAhead = 8192;
/// Reads `bytes` (a multiple of 4096) from `data`, 64-byte aligned, once, front to back; kReadAhead bytes
/// behind them may be fetched too.
std::uint64_t read_all(const std::byte* data, std::size_t bytes);

}  // namespace mmbatch::bench
