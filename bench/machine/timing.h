#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace mmbatch::bench {

/// Seconds of one call.
struct Timing {
  double median = 0;
  double min = 0;
  double max = 0;

  /// The time of one of `parts` equal parts of a call.
  Timing divided_by(double parts) const { return {median / parts, min / parts, max / parts}; }
};

/// How often to measure.
struct Repeats {
  std::size_t samples = 7;
  double min_sample_seconds = 0.02;  // a shorter call is repeated within a sample
};

/// Calls `work` once to warm up and then for every sample.
Timing measure(const Repeats& repeats, const std::function<void()>& work);

/// @param samples seconds of each call, not empty
Timing timing_of(std::vector<double> samples);

/// Three digits that say something.
std::string number_text(double value);
/// "12.3 ms", for people.
std::string seconds_text(double seconds);

}  // namespace mmbatch::bench
