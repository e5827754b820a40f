#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/base/matrix.h"
#include "engine/parallel/communicator.h"
#include "engine/parallel/message.h"
#include "engine/parallel/shared_work.h"

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
  float* sum(float* made, std::size_t count, float* others) const;
  /// Puts together what the slices made of different columns, in rank 0.
  /// @param made [rows, own columns]   @param all [processes · rows · own columns], for rank 0
  void gather(MatrixView<const float> made, float* all) const;

  /// What all processes do at the same time: rank 0 sends the message, and each calls `own`, in the others
  /// because of the message. One thread of rank 0 after the other; a process that cannot go on ends all.
  /// @param message called in rank 0, where there are others
  void together(const std::function<MessageWriter()>& message, const std::function<void()>& own) const;
  /// Makes work known for as long as it lives, under a name that it has in all processes.
  void share(const std::string& name, const std::shared_ptr<const SharedWork>& work) const;
  /// Begins a message to the others' part of that work.
  static MessageWriter message_to(const std::string& name);
  /// In another process than rank 0: has the work that such a message names done.
  void follow(MessageReader message) const;

  /// That were spent on others: sending, receiving and waiting for them.
  double seconds() const { return seconds_; }

 private:
  std::size_t count_;
  std::shared_ptr<Communicator> processes_;
  mutable std::atomic<double> seconds_{0};
  mutable std::mutex turn_;  // held while processes do something together
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::weak_ptr<const SharedWork>> shared_;  // guarded by mutex_
};

}  // namespace mmbatch
