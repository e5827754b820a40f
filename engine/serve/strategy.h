#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/serve/sequence.h"

namespace mmbatch {

/// Which tokens may be generated at all, and which end a sequence.
struct Vocabulary {
  std::size_t limit = 0;                 // rows from here on are padding
  std::vector<std::int32_t> suppressed;  // placeholders and padding tokens below the limit
  std::vector<std::int32_t> eos;
};

class EarlierAnswers;

/// What a strategy may use while it advances a group.
struct StrategyContext {
  const Vocabulary& vocabulary;
  /// Another sequence of the group that shares the given one's blocks.
  std::function<std::unique_ptr<Sequence>(const Sequence&)> fork;
  /// Tokens to guess at most and to verify in one step; 0 = none.
  std::size_t lookup_tokens = 0;
  /// Whether tokens that a constraint forces are computed together.
  bool jump_forward = true;
  const EarlierAnswers* earlier = nullptr;  // to look for guesses in; not null where lookup_tokens is not 0
};

/// How a request's sequences continue once their logits are there: by drawing, by beam search, by scoring
/// choices.
class Strategy {
 public:
  virtual ~Strategy() = default;
  /// Sequences at most.
  virtual std::size_t width() const = 0;
  /// Logits are wanted from this position on.
  virtual std::size_t first_logit_position(const Sequence& sequence) const { return sequence.tokens() - 1; }
  /// Whether it can advance: by default when no unfinished sequence of the group has anything left to
  /// compute.
  virtual bool is_ready(const SequenceGroup& group) const;
  /// Called after a step when it is ready: uses the sequences' logits, appends tokens, forks, marks sequences
  /// as finished.
  virtual void advance(SequenceGroup& group, const StrategyContext& context) = 0;
  /// The answers, the best first, once all sequences are finished.
  virtual std::vector<Answer> answers(SequenceGroup& group) = 0;
};

/// Greedy and random decoding of independent sequences.
std::unique_ptr<Strategy> make_sampling(std::size_t sequences);
std::unique_ptr<Strategy> make_beam_search(const GenerationConfig& config);
/// @param length_border of the model, whose longer sequences have other keys and values; 0: none
std::unique_ptr<Strategy> make_choice_scoring(const Request& request, std::size_t length_border);
/// The strategy that the request's settings ask for.
std::unique_ptr<Strategy> make_strategy(const Request& request, std::size_t length_border);

}  // namespace mmbatch
