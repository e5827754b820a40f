#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "engine/serve/strategy.h"

namespace mmbatch::testing {

/// Goes on like one of the real strategies, but by chance instead of by logits.
class FakeStrategy : public Strategy {
 public:
  enum Kind { sampling, beams, choices };

  FakeStrategy(Kind kind, std::size_t width, unsigned seed) : kind_(kind), width_(width), random_(seed) {}

  std::size_t width() const override { return width_; }

  std::size_t first_logit_position(const Sequence& sequence) const override {
    if (kind_ != choices) return sequence.tokens() - 1;
    return sequence.group->prompt_tokens() - (begun_ ? 0 : 1);
  }

  void advance(SequenceGroup& group, const StrategyContext& context) override {
    ++advances;
    if (kind_ == beams) return advance_beams(group, context);
    if (kind_ == choices) return advance_choices(group, context);
    while (group.sequences.size() < width_) group.sequences.push_back(context.fork(*group.sequences.front()));
    for (const auto& sequence : group.sequences) {
      if (!sequence->finished) go_on(group, *sequence);
    }
  }

  std::vector<Answer> answers(SequenceGroup&) override { return {}; }

  std::size_t advances = 0;
  std::size_t guesses = 0;  // of sampling: tokens to guess at most

 private:
  std::int32_t token() { return static_cast<std::int32_t>(random_() % 3); }

  /// Takes guesses as long as they are right, and makes others.
  void go_on(const SequenceGroup& group, Sequence& sequence) {
    const std::vector<std::int32_t> draft = std::exchange(sequence.draft, {});
    bool right = true;
    for (std::size_t i = 0; i <= draft.size() && right && !sequence.finished; ++i) {
      sequence.answer.tokens.push_back(token());
      right = i < draft.size() && draft[i] == sequence.answer.tokens.back();
      sequence.finished = sequence.tokens() >= group.max_tokens || random_() % 10 == 0;
    }
    if (sequence.finished) return;
    sequence.computed = std::min(sequence.computed, sequence.tokens() - 1);
    const std::size_t room = group.max_tokens - sequence.tokens() - 1;
    for (std::size_t left = std::min(room, guesses > 0 ? random_() % (guesses + 1) : 0); left > 0; --left)
      sequence.draft.push_back(token());
  }

  void advance_beams(SequenceGroup& group, const StrategyContext& context) {
    std::vector<std::unique_ptr<Sequence>> next;
    for (std::size_t i = 0; i < width_; ++i) {
      next.push_back(context.fork(*group.sequences[random_() % group.sequences.size()]));
      next.back()->answer.tokens.push_back(token());
    }
    group.sequences = std::move(next);
    const bool ends = group.sequences.front()->tokens() >= group.max_tokens || random_() % 15 == 0;
    for (const auto& sequence : group.sequences) sequence->finished = ends;
  }

  void advance_choices(SequenceGroup& group, const StrategyContext& context) {
    if (begun_) {
      for (const auto& sequence : group.sequences) sequence->finished = true;
      return;
    }
    begun_ = true;
    const std::size_t longest = group.max_tokens - group.prompt_tokens();
    std::vector<std::unique_ptr<Sequence>> next;
    for (std::size_t i = 0; i < width_; ++i) {
      next.push_back(context.fork(*group.sequences.front()));
      // A choice's last token is scored, but never computed.
      for (std::size_t left = random_() % longest; left > 0; --left) {
        next.back()->answer.tokens.push_back(token());
      }
      next.back()->finished = next.back()->answer.tokens.empty();
    }
    group.sequences = std::move(next);
  }

  Kind kind_;
  std::size_t width_;
  std::mt19937 random_;
  bool begun_ = false;
};

}  // namespace mmbatch::testing
