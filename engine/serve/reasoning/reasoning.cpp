#include "engine/serve/reasoning/reasoning.h"

#include <algorithm>
#include <utility>

namespace mmbatch {

ReasoningTracker::ReasoningTracker(ReasoningMarks marks, ReasoningStart start,
                                   std::optional<std::size_t> limit)
    : marks_(std::move(marks)), fallback_(marks_.close.size(), 0), limit_(limit) {
  for (std::size_t i = 1, k = 0; i < marks_.close.size(); ++i) {
    while (k > 0 && marks_.close[i] != marks_.close[k]) k = fallback_[k - 1];
    if (marks_.close[i] == marks_.close[k]) ++k;
    fallback_[i] = static_cast<std::uint32_t>(k);
  }
  start_ = start == ReasoningStart::inside ? inside(0, 0) : State{.phase = Phase::at_mark};
}

/// Thoughts that went on for too long are ended, but not in the middle of a closing mark.
ReasoningTracker::State ReasoningTracker::inside(std::uint32_t progress, std::uint32_t count) const {
  const bool too_long = limit_ && count >= *limit_ && progress == 0;
  return {.phase = too_long ? Phase::written : Phase::inside, .progress = progress, .count = count};
}

std::uint32_t ReasoningTracker::progress_with(std::uint32_t progress, std::int32_t token) const {
  while (progress > 0 && marks_.close[progress] != token) progress = fallback_[progress - 1];
  return marks_.close[progress] == token ? progress + 1 : 0;
}

ReasoningTracker::State ReasoningTracker::next(State state, std::int32_t token) const {
  switch (state.phase) {
    case Phase::at_mark: {
      if (token != marks_.open[state.progress]) return {};
      if (++state.progress < marks_.open.size()) return state;
      // The opening mark may begin the closing one: channels are told apart by their names.
      std::uint32_t progress = 0;
      for (const std::int32_t open : marks_.open) progress = progress_with(progress, open);
      return inside(progress, 0);
    }
    case Phase::inside: {
      const std::uint32_t progress = progress_with(state.progress, token);
      if (progress == marks_.close.size()) return {};
      return inside(progress, state.count + 1);
    }
    case Phase::written:
      if (++state.progress == marks_.written.size()) return {};
      return state;
    case Phase::answer:
      break;
  }
  return {};
}

std::optional<std::int32_t> ReasoningTracker::forced(State state) const {
  if (state.phase != Phase::written) return std::nullopt;
  return marks_.written[state.progress];
}

ReasoningSplit ReasoningTracker::split(std::span<const std::int32_t> tokens) const {
  ReasoningSplit split;
  State state = start_;
  std::size_t written = 0;  // tokens that the program wrote
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (state.phase == Phase::answer) return split;
    if (state.phase == Phase::written && state.progress == 0) written = i + 1;
    const Phase before = state.phase;
    state = next(state, tokens[i]);
    const std::size_t behind = i + 1;
    if (before == Phase::at_mark && state.phase == Phase::answer) return {};
    if (before == Phase::at_mark && state.phase != Phase::at_mark) split.begin = behind;
    if (state.phase == Phase::answer) {
      const std::size_t mark = written > 0 ? behind - (written - 1) : marks_.close.size();
      split.end = std::max(split.begin, behind - std::min(behind, mark));
      split.answer = behind;
    }
  }
  if (state.phase == Phase::at_mark) return {};
  if (state.phase != Phase::answer) {
    split.end = written > 0 ? written - 1 : tokens.size();
    split.answer = tokens.size();
  }
  return split;
}

namespace {

/// States: the tracker's phase in two bits; then, in the answer, the other constraint's state, else the
/// tracker's progress in twenty bits and its count.
class ReasoningConstraint final : public TokenConstraint {
 public:
  ReasoningConstraint(std::shared_ptr<const ReasoningTracker> tracker,
                      std::shared_ptr<const TokenConstraint> answer)
      : tracker_(std::move(tracker)), answer_(std::move(answer)) {}

  State start() const override { return pack(tracker_->start(), answer_start()); }

  bool is_free(State state) const override {
    const Unpacked at = unpack(state);
    switch (at.tracked.phase) {
      case Phase::inside:
        return true;
      case Phase::written:
        return false;
      case Phase::at_mark: {
        if (answer_ == nullptr) return true;
        const auto answer = behind_mark(at.tracked.progress);
        return answer && answer_->is_free(*answer);
      }
      case Phase::answer:
        return answer_ == nullptr || answer_->is_free(at.answer);
    }
    return true;
  }

  bool complete(State state) const override {
    const Unpacked at = unpack(state);
    return at.tracked.phase == Phase::answer && answer_ != nullptr && answer_->complete(at.answer);
  }

  std::vector<std::int32_t> forced(State state) const override {
    const Unpacked at = unpack(state);
    if (at.tracked.phase == Phase::answer)
      return answer_ != nullptr ? answer_->forced(at.answer) : std::vector<std::int32_t>();
    if (at.tracked.phase != Phase::written) return {};
    const auto& written = tracker_->marks().written;
    return {written.begin() + static_cast<std::ptrdiff_t>(at.tracked.progress), written.end()};
  }

  void allowed(State state, TokenMask& mask) const override {
    const Unpacked at = unpack(state);
    if (const auto token = tracker_->forced(at.tracked)) return mask.add(*token);
    if (at.tracked.phase == Phase::answer) return answer_->allowed(at.answer, mask);
    // What may be the opening mark may be the answer as well.
    mask.add(tracker_->marks().open[at.tracked.progress]);
    if (const auto answer = behind_mark(at.tracked.progress)) answer_->allowed(*answer, mask);
  }

  bool keeps_room() const override { return answer_ != nullptr && answer_->keeps_room(); }

  /// Thoughts leave room for their closing mark and an answer.
  bool has_room(State state, std::size_t left) const override {
    const Unpacked at = unpack(state);
    const ReasoningMarks& marks = tracker_->marks();
    const auto behind = [&](std::size_t tokens) {
      return left >= tokens && answer_->has_room(answer_->start(), left - tokens);
    };
    switch (at.tracked.phase) {
      case Phase::answer:
        return answer_->has_room(at.answer, left);
      case Phase::inside:
        return behind(marks.close.size() - at.tracked.progress);
      case Phase::written:
        return behind(marks.written.size() - at.tracked.progress);
      case Phase::at_mark: {
        const auto answer = behind_mark(at.tracked.progress);
        return (answer && answer_->has_room(*answer, left)) || thoughts_have_room(at.tracked, left);
      }
    }
    return false;
  }

  void allowed_within(State state, std::size_t left, TokenMask& mask) const override {
    const Unpacked at = unpack(state);
    const ReasoningMarks& marks = tracker_->marks();
    switch (at.tracked.phase) {
      case Phase::answer:
        return answer_->allowed_within(at.answer, left, mask);
      case Phase::inside:
        return mask.add(marks.close[at.tracked.progress]);
      case Phase::written:
        return mask.add(marks.written[at.tracked.progress]);
      case Phase::at_mark: {
        if (thoughts_have_room(at.tracked, left)) mask.add(marks.open[at.tracked.progress]);
        const auto answer = behind_mark(at.tracked.progress);
        if (answer && answer_->has_room(*answer, left)) answer_->allowed_within(*answer, left, mask);
        return;
      }
    }
  }

  std::optional<State> advance(State state, std::int32_t token) const override {
    const Unpacked at = unpack(state);
    if (at.tracked.phase == Phase::answer) return advance_answer(at.answer, token);
    if (const auto forced = tracker_->forced(at.tracked); forced && *forced != token) return std::nullopt;
    const ReasoningTracker::State next = tracker_->next(at.tracked, token);
    if (next.phase != Phase::answer || at.tracked.phase != Phase::at_mark) return pack(next, answer_start());
    // No mark: what came so far is the answer's beginning.
    const auto answer = behind_mark(at.tracked.progress);
    return answer ? advance_answer(*answer, token) : std::nullopt;
  }

  std::size_t fits(State state, std::span<const std::int32_t> tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Unpacked at = unpack(state);
      if (at.tracked.phase == Phase::answer)
        return answer_ != nullptr ? i + answer_->fits(at.answer, tokens.subspan(i)) : tokens.size();
      const auto next = advance_guess(state, tokens[i]);
      if (!next) return i;
      state = *next;
    }
    return tokens.size();
  }

 private:
  using Phase = ReasoningTracker::Phase;
  struct Unpacked {
    ReasoningTracker::State tracked;
    State answer = 0;
  };

  State answer_start() const { return answer_ ? answer_->start() : 0; }

  std::optional<State> behind_mark(std::size_t tokens) const {
    std::optional<State> state = answer_start();
    for (std::size_t i = 0; i < tokens && state && answer_; ++i)
      state = answer_->advance(*state, tracker_->marks().open[i]);
    return state;
  }

  /// Whether the rest of the opening mark, the closing one and an answer may come.
  bool thoughts_have_room(ReasoningTracker::State at, std::size_t left) const {
    const ReasoningMarks& marks = tracker_->marks();
    const std::size_t needed = marks.open.size() - at.progress + marks.close.size();
    return left >= needed && answer_->has_room(answer_->start(), left - needed);
  }

  std::optional<State> advance_answer(State answer, std::int32_t token) const {
    if (answer_ == nullptr) return pack({}, 0);
    const auto next = answer_->advance(answer, token);
    return next ? std::optional(pack({}, *next)) : std::nullopt;
  }

  static State pack(ReasoningTracker::State tracked, State answer) {
    const auto phase = static_cast<State>(tracked.phase);
    if (tracked.phase == Phase::answer) return answer << 2 | phase;
    return (State{tracked.count} << 20 | tracked.progress) << 2 | phase;
  }

  static Unpacked unpack(State state) {
    const auto phase = static_cast<Phase>(state & 3);
    state >>= 2;
    if (phase == Phase::answer) return {{}, state};
    return {{.phase = phase,
             .progress = static_cast<std::uint32_t>(state & 0xfffff),
             .count = static_cast<std::uint32_t>(state >> 20)},
            0};
  }

  std::shared_ptr<const ReasoningTracker> tracker_;
  std::shared_ptr<const TokenConstraint> answer_;
};

class OneToken final : public TokenConstraint {
 public:
  State start() const override { return 0; }
  bool is_free(State state) const override { return state == 0; }
  void allowed(State, TokenMask&) const override {}
  std::optional<State> advance(State state, std::int32_t) const override {
    return state == 0 ? std::optional<State>(1) : std::nullopt;
  }
};

}  // namespace

std::shared_ptr<const TokenConstraint> make_one_token_constraint() {
  return std::make_shared<const OneToken>();
}

std::shared_ptr<const TokenConstraint> make_reasoning_constraint(
    std::shared_ptr<const ReasoningTracker> tracker, std::shared_ptr<const TokenConstraint> answer) {
  return std::make_shared<const ReasoningConstraint>(std::move(tracker), std::move(answer));
}

}  // namespace mmbatch
