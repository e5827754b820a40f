#pragma once

#include <optional>
#include <span>

#include "engine/decoder/decoder.h"
#include "engine/parallel/message.h"

namespace mmbatch {

/// A step as other processes are told of it.
/// @param row_width of rows that are not tokens
MessageWriter step_message(const StepBatch& batch, const KvPool& pool, AttentionKernel kernel,
                           std::size_t row_width);

/// Computes this process's part of the steps that rank 0 sends, with a cache of its own as large as rank 0's.
class StepFollower {
 public:
  explicit StepFollower(std::shared_ptr<const Decoder> decoder) : decoder_(std::move(decoder)) {}
  /// @param message of kind step
  void follow(MessageReader message);

 private:
  std::shared_ptr<const Decoder> decoder_;
  std::optional<KvPool> pool_;
  Scratch scratch_;
};

}  // namespace mmbatch
