#pragma once

#include <optional>
#include <string>

#include "bench/machine/ceilings.h"
#include "bench/machine/timing.h"

namespace mmbatch::bench {

/// One measured case.
struct Measured {
  std::string name;
  Timing timing;
  double count = 0;          // what one call gets done, in the unit below
  std::string unit;          // a second
  std::optional<Work> work;  // absent: nothing binds it that could be counted
};

/// A measured case with its place.
struct CaseResult {
  std::string workload;
  std::string precision;
  Measured measured;
  Precision peak = Precision::f32;   // its unit
  std::optional<double> read_bytes;  // a second, when it was measured; none: the best of the whole run
};

}  // namespace mmbatch::bench
