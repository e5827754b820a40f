#include "bench/machine/ceilings.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "bench/machine/peak_kernels.h"
#include "engine/base/matrix.h"

namespace mmbatch::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Other programs take the cores away for some milliseconds at a time: a ceiling is what all threads together
/// got done in the best stretch of this length.
constexpr double kWindowSeconds = 0.006;

/// Puts the calling thread on a core of its own, as far as there are any, or the system may have two of them
/// take turns on one core while another program has the other.
void stay_on_own_core(int thread) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  int place = thread % CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || place-- > 0) continue;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cpu, &own);
    ::pthread_setaffinity_np(::pthread_self(), sizeof(own), &own);
    return;
  }
}

/// Seconds from the start at which each call of `step(thread)` ended, of all threads, in order. They start
/// together and call it for `seconds`.
std::vector<double> ends_of_steps(int threads, double seconds, const std::function<void(int)>& step) {
  std::barrier start(threads);
  std::vector<std::vector<double>> ends(static_cast<std::size_t>(threads));
  std::vector<std::thread> workers;
  Clock::time_point begin;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      std::vector<double>& own = ends[static_cast<std::size_t>(thread)];
      own.reserve(1 << 16);
      stay_on_own_core(thread);
      start.arrive_and_wait();
      if (thread == 0) begin = Clock::now();
      start.arrive_and_wait();
      do {
        step(thread);
        own.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
      } while (own.back() < seconds);
    });
  }
  for (std::thread& worker : workers) worker.join();
  std::vector<double> all;
  for (const std::vector<double>& own : ends) all.insert(all.end(), own.begin(), own.end());
  std::sort(all.begin(), all.end());
  return all;
}

/// Steps a second in the best window.
double best_rate(int threads, double seconds, const std::function<void(int)>& step) {
  const std::vector<double> ends = ends_of_steps(threads, seconds + kWindowSeconds, step);
  std::size_t most = 1;
  for (std::size_t first = 0, last = 0; first < ends.size(); ++first) {
    while (last < ends.size() && ends[last] <= ends[first] + kWindowSeconds) ++last;
    most = std::max(most, last - first - 1);  // the first one ended where the window begins
  }
  return static_cast<double>(most) / kWindowSeconds;
}

double operations_a_second(const PeakKernel& kernel, int threads, double seconds) {
  constexpr std::size_t kRounds = 10'000;  // some 15 µs: a window holds hundreds
  std::atomic<float> sink = 0;
  const double steps = best_rate(threads, seconds, [&](int) {
    float value = 1e-3f;
    kernel.run(kRounds, &value);
    sink = value;
  });
  return steps * kernel.operations_per_round * kRounds;
}

/// What the fastest of them reaches; none: there are none.
std::optional<double> operations_a_second(const std::vector<PeakKernel>& kernels, int threads,
                                          double seconds) {
  std::optional<double> best;
  for (const PeakKernel& kernel : kernels)
    best = std::max(best, std::optional(operations_a_second(kernel, threads,
                                                            seconds / static_cast<double>(kernels.size()))));
  return best;
}

constexpr std::size_t kStep = std::size_t{1} << 20;         // bytes read at a time, in some 20 µs
constexpr std::size_t kReadBytes = std::size_t{384} << 20;  // several times the last cache of such a machine

}  // namespace

ReadMeter::ReadMeter(int threads)
    : threads_(threads),
      part_(std::max(kReadBytes / static_cast<std::size_t>(threads) / kStep, std::size_t{1}) * kStep),
      memory_(1, part_ * static_cast<std::size_t>(threads) + kReadAhead) {
  std::fill_n(memory_.data(), memory_.cols(), std::byte{1});
}

double ReadMeter::bytes_a_second(double seconds) const {
  std::vector<std::size_t> at(static_cast<std::size_t>(threads_) * 8);  // a cache line each
  std::atomic<std::uint64_t> sink = 0;
  const double steps = best_rate(threads_, seconds, [&](int thread) {
    const auto t = static_cast<std::size_t>(thread);
    std::size_t& offset = at[t * 8];
    sink = read_all(memory_.data() + t * part_ + offset, kStep);
    offset = (offset + kStep) % part_;
  });
  return steps * static_cast<double>(kStep);
}

void Ceilings::raise_to(const Ceilings& other) {
  threads = other.threads;
  read_bytes = std::max(read_bytes, other.read_bytes);
  f32 = std::max(f32, other.f32);
  bf16 = std::max(bf16, other.bf16);  // an absent one is the smallest
  int16 = std::max(int16, other.int16);
  int8 = std::max(int8, other.int8);
  int4 = std::max(int4, other.int4);
}

Ceilings measure_ceilings(const ReadMeter& meter, double seconds) {
  const int threads = meter.threads();
  Ceilings ceilings;
  ceilings.threads = threads;
  ceilings.read_bytes = meter.bytes_a_second(seconds);
  ceilings.f32 = *operations_a_second(f32_peak_kernels(), threads, seconds);
  ceilings.bf16 = operations_a_second(bf16_peak_kernels(), threads, seconds);
  ceilings.int16 = operations_a_second(int16_peak_kernels(), threads, seconds);
  ceilings.int8 = operations_a_second(int8_peak_kernels(), threads, seconds);
  ceilings.int4 = operations_a_second(int4_peak_kernels(), threads, seconds);
  return ceilings;
}

double peak(const Ceilings& ceilings, Precision precision) {
  const double bf16 = ceilings.bf16.value_or(ceilings.f32);
  switch (precision) {
    case Precision::f32:
      return ceilings.f32;
    case Precision::bf16:
    case Precision::w8a16:
    case Precision::w4a16:
      return bf16;
    case Precision::int16:
      return ceilings.int16.value_or(ceilings.f32);
    case Precision::int8:
    case Precision::stored:
      return ceilings.int8.value_or(bf16);
    case Precision::int4:
      return ceilings.int4.value_or(bf16);
  }
  return ceilings.f32;
}

double floor_seconds(const Ceilings& ceilings, const Work& work, Precision precision) {
  double attention = ceilings.f32;
  if (precision != Precision::f32)
    attention = std::max(peak(ceilings, Precision::bf16), ceilings.int16.value_or(0));
  return std::max(work.operations / peak(ceilings, precision) + work.attention / attention,
                  work.bytes / ceilings.read_bytes);
}

}  // namespace mmbatch::bench
