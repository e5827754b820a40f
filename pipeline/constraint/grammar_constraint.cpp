#include "pipeline/constraint/grammar_constraint.h"

#include <algorithm>

namespace mmbatch {

GrammarConstraint::GrammarConstraint(std::shared_ptr<TokenMasks> masks, std::vector<std::int32_t> ends,
                                     std::shared_ptr<const LeastBytes> least)
    : masks_(std::move(masks)), ends_(std::move(ends)), machine_(masks_->grammar()) {
  if (least) closings_.emplace(std::move(least), masks_->shared_tokens());
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

bool GrammarConstraint::has_room(State state, std::size_t left) const {
  const std::size_t needed = closings_->tokens(machine_, states_[state].frames);
  return needed <= left;
}

void GrammarConstraint::allowed_within(State state, std::size_t left, TokenMask& mask) const {
  const NextTokens& tokens = next(state);
  const Machine::State frames = states_[state].frames;
  const AnswerPlace place = states_[state].place;
  bool any = false;
  for (const std::int32_t token : tokens.allowed.ids()) {
    const Machine::State behind = masks_->behind(machine_, frames, place, token);
    if (behind.empty() || closings_->tokens(machine_, behind) > left - 1) continue;
    mask.add(token);
    any = true;
  }
  if (tokens.may_end) {
    for (const std::int32_t end : ends_) mask.add(end);
  } else if (!any) {  // the rule of forced tokens allows another beginning only
    mask.add(*closings_->first(machine_, frames));
  }
}

}  // namespace mmbatch
