#include "pipeline/constraint/grammar_constraint.h"

#include <algorithm>

namespace mmbatch {

GrammarConstraint::GrammarConstraint(std::shared_ptr<TokenMasks> masks, std::vector<std::int32_t> ends)
    : masks_(std::move(masks)), ends_(std::move(ends)), machine_(masks_->grammar()) {
  number(machine_.start(), AnswerPlace::beginning);
}

TokenConstraint::State GrammarConstraint::number(Machine::State frames, AnswerPlace place) const {
  const auto [at, added] = numbers_.emplace(std::pair(std::move(frames), place), states_.size());
  if (added) states_.push_back({.frames = at->first.first, .place = place});
  return at->second;
}

const NextTokens& GrammarConstraint::next(State state) const {
  Known& known = states_[state];
  if (!known.next) known.next = masks_->next(machine_, known.frames, known.place);
  return *known.next;
}

void GrammarConstraint::allowed(State state, TokenMask& mask) const {
  const NextTokens& tokens = next(state);
  mask.add_words(tokens.allowed.words());
  if (!tokens.may_end) return;
  for (const std::int32_t end : ends_) mask.add(end);
}

std::optional<TokenConstraint::State> GrammarConstraint::advance(State state, std::int32_t token) const {
  if (std::find(ends_.begin(), ends_.end(), token) != ends_.end())
    return next(state).may_end ? std::optional(state) : std::nullopt;
  const Known& from = states_[state];
  Machine::State behind = masks_->behind(machine_, from.frames, from.place, token);
  if (behind.empty()) return std::nullopt;
  return number(std::move(behind), AnswerPlace::behind);
}

bool GrammarConstraint::complete(State state) const {
  return next(state).only_end;
}

std::vector<std::int32_t> GrammarConstraint::forced(State state) const {
  return next(state).forced;
}

}  // namespace mmbatch
