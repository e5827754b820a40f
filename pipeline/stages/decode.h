#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "engine/base/threads.h"
#include "engine/serve/engine.h"
#include "fusion/model.h"
#include "pipeline/constraint/constraints.h"
#include "pipeline/graph/messages.h"
#include "pipeline/stages/choice_tokens.h"
#include "pipeline/stages/reasoning.h"
#include "pipeline/watch/at_stage.h"

namespace mmbatch {

/// Which tokens the model may generate.
Vocabulary vocabulary_of(const Model& model);

/// That the model has the tokens that settings name.  @throws ItemError(invalid_value) that names the setting
void check_token_settings(const ModelSpec& spec, const GenerationConfig& generation);

/// What the engine is to do for a prompt; callbacks are the caller's.
Request make_request(const Model& model, std::shared_ptr<const Prompt> prompt,
                     const GenerationConfig& generation);
/// The same with the tokens of the choices at hand.
Request make_request(const Model& model, std::shared_ptr<const Prompt> prompt,
                     const GenerationConfig& generation, ChoiceIds choices);

/// Lets thoughts come before the answer: stop strings and constraints count for the answer alone.
/// @param format null: the model has no thoughts
void add_reasoning(Request& request, const Model& model,
                   const std::shared_ptr<const ReasoningFormat>& format);
/// What finds out the thoughts behind which a request's choices are to be scored.
/// @param request with choices, after add_reasoning()  @return without on_done
Request thinking_request(const Request& request);
/// The request for the choices behind those thoughts.
Request behind_thoughts(const Model& model, Request request, const Completion& thinking);
/// Counts thoughts, which were part of the prompt of such a request, as what they are.
void count_thoughts(Completion& completion, const Completion& thinking);

/// The engine on a thread of its own: takes prompts from any thread, as many at a time as there are, and
/// steps inside the arena while it has work. Items that are not done by their deadline fail. Thread-safe.
class Decode {
 public:
  /// @throws UsageError for options that cannot be met.
  Decode(const Model& model, const EngineOptions& options, Arena& arena, Timeline& timeline);
  /// Finishes what was handed in.
  ~Decode();

  /// Calls `done` exactly once, from the engine's thread.
  void operator()(const Fused& fused, Done<Outcome> done);

  /// Waits until the engine has nothing to do: an item's answer is out before its last step is counted.
  void settle();
  EngineStats stats() const;

 private:
  /// A request that must be done by then.
  struct Arrival {
    Request request;
    Deadline deadline;
  };
  struct Due {
    Deadline deadline;
    RequestId id;
    bool operator>(const Due& other) const { return deadline.time() > other.deadline.time(); }
  };

  void run();
  void take(Arrival one);
  void end_late_ones();
  void step(CallNumbers& numbers);
  Request request_of(const Fused& fused, Done<Outcome> done);
  void submit(Request request, const Deadline& deadline);
  void think_first(Request request, const Deadline& deadline);

  const Model& model_;
  Arena& arena_;
  Timeline& timeline_;
  ChoiceTokens choices_;
  Constraints constraints_;
  // Of the engine's thread:
  Engine engine_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;

  mutable std::mutex mutex_;
  std::condition_variable changed_, settling_;
  // Guarded by mutex_:
  std::vector<Arrival> incoming_;
  bool closing_ = false;
  bool settled_ = false;  // nothing to do, and all that was done is counted
  EngineStats stats_;

  std::thread thread_;
};

}  // namespace mmbatch
