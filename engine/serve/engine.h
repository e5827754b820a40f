#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/decoder/decoder.h"
#include "engine/serve/prompt_lookup.h"
#include "engine/serve/schedule/scheduler.h"
#include "engine/serve/strategy.h"

namespace mmbatch {

/// A setting of the engine that cannot be meant, or not on this machine.
class SettingError : public UsageError {
 public:
  /// @param field as it is called in EngineOptions   @param problem what is wrong, and what is allowed
  SettingError(std::string field, const std::string& problem)
      : UsageError(field + ": " + problem), field_(std::move(field)), problem_(problem) {}
  const std::string& field() const { return field_; }
  const std::string& problem() const { return problem_; }

 private:
  std::string field_, problem_;
};

struct EngineOptions {
  SchedulerOptions scheduler;
  std::size_t kv_bytes = 0;  // memory of the cache; 0 = a quarter of the machine's free memory, at most 8 GiB
  std::size_t kv_blocks = 0;                // not 0: this many blocks instead, of any group of layers
  std::optional<KvPrecision> kv_precision;  // none: choose_kv_precision() of the decoder's
  AttentionKernel attention = AttentionKernel::flash;
  /// Speculative decoding by prompt lookup: tokens to guess at most and to verify in one step; 0 = off. Never
  /// changes an answer. Off in models with recurrent layers, whose state cannot go back.
  std::size_t lookup_tokens = 0;
  /// Tokens that are the only ones a request's constraint allows are computed in one step. Never changes an
  /// answer.
  bool jump_forward = true;

  /// @throws SettingError
  void validate() const;
};

/// Counts since the engine was made.
struct EngineStats {
  std::size_t steps = 0;
  std::size_t prompt_tokens = 0;         // of finished requests
  std::size_t prompt_tokens_reused = 0;  // of them, found in the cache
  std::size_t answer_tokens = 0;
  std::size_t computed_rows = 0;
  std::size_t preemptions = 0;
  std::size_t evictions = 0;
  std::size_t kv_bytes_pool = 0;
  std::size_t kv_bytes_used = 0;
  std::size_t kv_bytes_peak = 0;
  std::size_t kv_bytes_shared = 0;  // in blocks with more than one owner, now
  std::size_t kv_bytes_shared_peak = 0;
  std::size_t draft_tokens = 0;           // guesses of prompt lookup that were verified, of finished requests
  std::size_t draft_tokens_accepted = 0;  // of them, right
  double busy_seconds = 0.0;              // inside step()
  std::size_t step_sequences = 0;         // in the last step
  std::size_t running = 0;                // requests at work, now
  std::size_t waiting = 0;                // requests not yet admitted, now
  std::size_t kv_blocks_used = 0;
  double communication_seconds = 0.0;  // of busy_seconds: sending to, and waiting for, other processes
};

/// Names a request while the engine works on it.
using RequestId = std::uint64_t;

/// Answers prompts with one decoder and one paged cache; any number of requests at a time (continuous
/// batching, after Orca, OSDI 2022, and PagedAttention, arXiv 2309.06180). A request's answer has the same
/// bits in any company. Not thread-safe: one thread submits and steps.
///
///   Engine engine(decoder, vocabulary, options);
///   engine.submit({prompt, generation, {}, {}, {}, [](Result<Completion> done) { … }});
///   while (engine.step()) {}
class Engine {
 public:
  /// @throws SettingError when the cache cannot hold one block, or the machine not the cache.
  Engine(std::shared_ptr<const Decoder> decoder, Vocabulary vocabulary, EngineOptions options);
  ~Engine();

  /// Queues a request. One that can never fit is done at once, with code prompt_too_long.
  RequestId submit(Request request);
  /// Ends a request: its blocks are free at once, or at the end of the step when a callback of that step
  /// calls this, and its on_done gets the error. An unknown or finished one is left alone.
  void cancel(RequestId id, const Error& error);
  /// One step: plan, forward, choose tokens, finish. False when there is nothing left to do.
  bool step();
  /// Ends the requests that are at work with this error, after a step() that threw: what their blocks hold is
  /// not known. Those that wait go on.
  void fail_running(const Error& error);

  bool idle() const;
  std::size_t waiting() const;
  EngineStats stats() const;

 private:
  enum class Phase { between_steps, in_step };
  struct InStep;

  RecurrentStates recurrent_states();
  std::unique_ptr<SequenceGroup> prepare(Request request) const;
  ItemError too_few_states(const SequenceGroup& group) const;
  ItemError cache_too_small(const SequenceGroup& group) const;
  void run(const StepPlan& plan);
  void advance_groups();
  Completion completion_of(SequenceGroup& group);
  void cancel_now(RequestId id, const Error& error);

  std::shared_ptr<const Decoder> decoder_;
  Vocabulary vocabulary_;
  EngineOptions options_;
  KvPool pool_;
  BlockAllocator allocator_;
  BlockAllocator state_slots_;  // of recurrent layers
  Scheduler scheduler_;
  Scratch scratch_;
  std::shared_ptr<Matrix<float>> logits_;  // of the last step
  EngineStats stats_;
  EarlierAnswers earlier_answers_;
  RequestId next_id_ = 1;
  Phase phase_ = Phase::between_steps;
  std::vector<std::pair<RequestId, Error>> cancelled_;  // by callbacks of this step
};

}  // namespace mmbatch
