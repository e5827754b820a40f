#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "engine/base/matrix.h"
#include "engine/parallel/communicator.h"

namespace mmbatch {

/// A model's layers cut into slices, by heads and columns (tensor parallelism, arXiv 1909.08053), of which
/// each process holds consecutive ones. What a slice computes, and in which order slices are added up,
/// depends on their number alone, so that an answer has the same bits whoever holds which: one process all of
/// them, or several their share.
class Slices {
 public:
  /// @param count a power of two, of which the number of processes is a divisor
  /// @throws UsageError
  Slices(std::size_t count, std::shared_ptr<Communicator> processes);

  std::size_t count() const { return count_; }
  /// Those of this process: [first(), first() + here()).
  std::size_t first() const { return processes_->rank() * here(); }
  std::size_t here() const { return count_ / processes_->size(); }
  Communicator& processes() const { return *processes_; }

  /// Adds up what the slices made, in pairs, pairs of pairs and so on.
  /// @param made [here(), count], used up   @param others [processes, count], for what comes from them
  /// @return the sum, [count], in one of the two; the same in every process
  const float* sum(float* made, std::size_t count, float* others) const;
  /// Puts together what the slices made of different columns, in rank 0.
  /// @param made [rows, own columns]   @param all [processes · rows · own columns], for rank 0
  void gather(MatrixView<const float> made, float* all) const;

  /// That were spent on others: sending, receiving and waiting for them.
  double seconds() const { return seconds_; }

 private:
  std::size_t count_;
  std::shared_ptr<Communicator> processes_;
  mutable std::atomic<double> seconds_{0};
};

}  // namespace mmbatch
