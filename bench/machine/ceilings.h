#pragma once

#include <cstddef>
#include <optional>

#include "engine/base/matrix.h"
#include "engine/weights/precision.h"

namespace mmbatch::bench {

/// What this machine can do at best with this many threads and the instructions of the level that kernels run
/// at: measured, not looked up.
struct Ceilings {
  int threads = 0;
  double read_bytes = 0;       // per second, from memory
  double f32 = 0;              // operations per second; a multiplication and an addition are two
  std::optional<double> bf16;  // absent: the machine has no such instructions
  std::optional<double> int16, int8, int4;

  /// The better of two measurements: what disturbs a ceiling only ever lowers it.
  void raise_to(const Ceilings& other);
};

/// How fast all threads together stream through memory that is in no cache.
class ReadMeter {
 public:
  explicit ReadMeter(int threads);
  /// @param seconds that it is tried for
  double bytes_a_second(double seconds) const;
  int threads() const { return threads_; }

 private:
  int threads_;
  std::size_t part_;  // bytes of one thread
  Matrix<std::byte> memory_;
};

/// @param seconds that each of them is tried for
Ceilings measure_ceilings(const ReadMeter& meter, double seconds);

/// What a piece of work cannot do without.
struct Work {
  double operations = 0;  // of products with weights
  double bytes = 0;       // that have to come from memory
  /// Operations of attention: in bfloat16 or int16, whichever is faster, but for f32.
  double attention = 0;
};

/// Operations per second of the unit that products of this precision run on. A precision that the machine has
/// no instructions for is held to what it would fall back to.
double peak(const Ceilings& ceilings, Precision precision);
/// The time below which `work` cannot come: the larger of computing and streaming.
double floor_seconds(const Ceilings& ceilings, const Work& work, Precision precision);

}  // namespace mmbatch::bench
