#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/generation_config.h"
#include "engine/base/result.h"
#include "engine/decoder/prompt.h"
#include "engine/serve/token_constraint.h"

namespace mmbatch {

enum class FinishReason { stop, length, stop_string, choice, repetition };
std::string_view to_string(FinishReason reason);

/// A token and its log-probability, from raw logits.
struct TokenLogprob {
  std::int32_t token = 0;
  float logprob = 0.0f;
};

/// What a model wrote before its answer: its thoughts, and the marks around them.
struct Thoughts {
  std::vector<std::int32_t> tokens;
  std::size_t begin = 0, end = 0;  // without the marks

  /// Whether no closing mark came behind them.
  bool unfinished() const { return !tokens.empty() && end == tokens.size(); }
};

class ReasoningTracker;

/// One generated sequence.
struct Answer {
  std::vector<std::int32_t> tokens;            // without the end-of-sequence token
  std::vector<float> logprobs;                 // one per token, and one for the end token if there was one
  std::vector<std::vector<TokenLogprob>> top;  // the likeliest at each place, if asked for
  FinishReason finish_reason = FinishReason::length;
  bool closed = false;     // tokens were refused so that it comes to its end before its limit
  Thoughts thoughts;       // before `tokens`, which have their own log-probabilities only
  double logprob = 0.0;    // sum over all tokens, thoughts and the end token included
  double score = 0.0;      // beams: logprob / length ^ length_penalty; choices: probability
  std::size_t choice = 0;  // choices: which one
};

/// Where the time of a request went, in milliseconds.
struct RequestTimes {
  double queue_ms = 0.0;    // from submit() to the first step that computed something of it
  double prefill_ms = 0.0;  // from there to the first answer token
  double decode_ms = 0.0;   // from there to the end
};

/// All answers of a request: num_return_sequences of them, or one for each choice, the best first.
struct Completion {
  std::vector<Answer> answers;
  std::size_t prompt_tokens = 0;
  std::size_t reused_tokens = 0;  // of the prompt, found in the cache
  RequestTimes times;
};

/// What the engine is asked for. Callbacks run on the thread that calls Engine::step().
struct Request {
  std::shared_ptr<const Prompt> prompt;
  GenerationConfig generation;
  /// The tokens of each of generation.choices, with the end token: all are scored.
  std::vector<std::vector<std::int32_t>> choices;
  /// What sampling, beams and guesses keep to; null: anything may come.
  std::shared_ptr<const TokenConstraint> constraint;
  /// Tells thoughts, for which the constraint does not count, from the answer; null: all is the answer.
  std::shared_ptr<const ReasoningTracker> reasoning;
  /// Makes the text of one answer: called with each token in turn, it returns the text that is certain with
  /// it. Needed for stop_strings only.
  std::function<std::function<std::string(std::int32_t token)>()> text;
  /// Called for every answer token as soon as it is certain (not with beams or choices). May be empty.
  std::function<void(std::size_t sequence, std::int32_t token)> on_token;
  /// Called once, at the end.
  std::function<void(Result<Completion>)> on_done;
};

}  // namespace mmbatch
