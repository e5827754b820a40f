#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/serve/token_constraint.h"
#include "text/constraint/closing/closings.h"
#include "text/constraint/mask/token_masks.h"

namespace mmbatch {

/// One request's answers, held to a grammar. A state is a number of its own, by what the automaton can read
/// there; used by the engine's thread alone.
class GrammarConstraint : public TokenConstraint {
 public:
  /// @param masks shared by all requests with the same grammar.  @param ends tokens that end an answer
  /// @param least when answers are brought to their end before their limit; else null
  GrammarConstraint(std::shared_ptr<TokenMasks> masks, std::vector<std::int32_t> ends,
                    std::shared_ptr<const LeastBytes> least);

  State start() const override { return 0; }
  void allowed(State state, TokenMask& mask) const override;
  std::optional<State> advance(State state, std::int32_t token) const override;
  /// Leaves nothing behind: what an answer may take to be read is counted, and guesses are not read.
  std::size_t fits(State state, std::span<const std::int32_t> tokens) const override;
  bool complete(State state) const override;
  std::vector<std::int32_t> forced(State state) const override;
  bool keeps_room() const override { return closings_.has_value(); }
  bool has_room(State state, std::size_t left) const override;
  void allowed_within(State state, std::size_t left, TokenMask& mask) const override;
  /// Frames that reading the answers took so far (TokenMasks::kMaxFrames).
  std::size_t frames() const { return machine_.frames(); }
  /// Tokens of the shortest answer; Closings::kNever when that could not be found.
  std::size_t shortest() const {
    return closings_->tokens(machine_, states_.front().frames, AnswerPlace::beginning);
  }
  /// Whether the model's tokens spell any answer that fits.
  bool can_be_written() const;
  /// Whether they would, if decoding did not drop the space that an answer begins with.
  bool can_be_written_inside() const;

 private:
  struct Known {
    Machine::State frames;
    AnswerPlace place = AnswerPlace::behind;
    std::shared_ptr<const NextTokens> next = {};  // once somebody asked
  };

  State number(Machine::State frames, AnswerPlace place) const;
  const NextTokens& next(State state) const;

  std::shared_ptr<TokenMasks> masks_;
  std::vector<std::int32_t> ends_;
  mutable Machine machine_;
  mutable std::optional<Closings> closings_;
  mutable std::vector<Known> states_;
  mutable std::map<std::pair<Machine::State, AnswerPlace>, State> numbers_;
};

}  // namespace mmbatch
