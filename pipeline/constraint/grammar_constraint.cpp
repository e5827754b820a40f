#include "pipeline/constraint/grammar_constraint.h"

#include <algorithm>

#include "engine/base/error.h"

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

std::size_t GrammarConstraint::fits(State state, std::span<const std::int32_t> tokens) const {
  const Machine::Mark mark = machine_.mark();
  Machine::State frames = states_[state].frames;
  AnswerPlace place = states_[state].place;
  std::size_t count = 0;
  try {
    for (; count < tokens.size(); ++count) {
      if (std::find(ends_.begin(), ends_.end(), tokens[count]) != ends_.end()) {
        if (!machine_.may_end(frames)) break;
        continue;
      }
      frames = masks_->behind(machine_, frames, place, tokens[count]);
      if (frames.empty()) break;
      place = AnswerPlace::behind;
    }
  } catch (const ItemError&) {
    // Too ambiguous to be read: if the answer goes that way, it is told then.
  }
  machine_.release(mark);
  return count;
}

bool GrammarConstraint::complete(State state) const {
  return next(state).only_end;
}

std::vector<std::int32_t> GrammarConstraint::forced(State state) const {
  return next(state).forced;
}

bool GrammarConstraint::can_be_written() const {
  const NextTokens& tokens = next(start());
  return tokens.may_end || !tokens.allowed.ids().empty();
}

bool GrammarConstraint::can_be_written_inside() const {
  return !masks_->next(machine_, states_.front().frames, AnswerPlace::behind)->allowed.ids().empty();
}

bool GrammarConstraint::has_room(State state, std::size_t left) const {
  const Known& at = states_[state];
  const std::size_t needed = closings_->tokens(machine_, at.frames, at.place);
  return needed <= left;
}

void GrammarConstraint::allowed_within(State state, std::size_t left, TokenMask& mask) const {
  const NextTokens& tokens = next(state);
  const Machine::State frames = states_[state].frames;
  const AnswerPlace place = states_[state].place;
  bool any = false;
  // Most of these tokens do not come: what is read of them goes again, also on the way.
  constexpr std::size_t kFramesAtOnce = 1u << 18;
  const Machine::Mark mark = machine_.mark();
  const Closings::Mark known = closings_->mark();
  const auto forget = [&] {
    closings_->forget(known, mark);
    machine_.release(mark);
  };
  for (const std::int32_t token : tokens.allowed.ids()) {
    if (machine_.frames() - mark.frames > kFramesAtOnce) forget();
    const Machine::State behind = masks_->behind(machine_, frames, place, token);
    if (behind.empty() || closings_->tokens(machine_, behind) > left - 1) continue;
    mask.add(token);
    any = true;
  }
  forget();
  if (tokens.may_end) {
    for (const std::int32_t end : ends_) mask.add(end);
  } else if (!any) {  // the rule of forced tokens allows another beginning only
    mask.add(*closings_->first(machine_, frames, place));
  }
}

}  // namespace mmbatch
