#include "bench/machine/timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace mmbatch::bench {
namespace {

double seconds_of(const std::function<void()>& work, std::size_t calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < calls; ++i) work();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  return passed.count() / static_cast<double>(calls);
}

}  // namespace

Timing measure(const Repeats& repeats, const std::function<void()>& work) {
  const double first = std::max(seconds_of(work, 1), 1e-7);
  const double wanted = std::ceil(repeats.min_sample_seconds / first);
  const auto calls = static_cast<std::size_t>(std::clamp(wanted, 1.0, 10000.0));
  std::vector<double> samples(std::max<std::size_t>(1, repeats.samples));
  for (double& sample : samples) sample = seconds_of(work, calls);
  return timing_of(std::move(samples));
}

Timing timing_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const std::size_t middle = samples.size() / 2;
  const double median =
      samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
  return {median, samples.front(), samples.back()};
}

std::string number_text(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  return value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string seconds_text(double seconds) {
  if (seconds >= 1) return number_text(seconds) + " s";
  if (seconds >= 1e-3) return number_text(seconds * 1e3) + " ms";
  return number_text(seconds * 1e6) + " µs";
}

}  // namespace mmbatch::bench
