#include "engine/serve/reasoning/reasoning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace mmbatch {
namespace {

using Ids = std::vector<std::int32_t>;
using Phase = ReasoningTracker::Phase;

constexpr std::int32_t kOpen = 1, kClose = 2;
const ReasoningMarks kMarks{.open = {kOpen}, .close = {kClose}, .written = {kClose}};
/// As channels: the opening mark begins the closing one, and what the program writes is longer.
const ReasoningMarks kChannels{.open = {1}, .close = {1, 5, 2}, .written = {3, 4, 1, 5, 2}};

/// "begin end answer" of a split.
Ids split(const ReasoningTracker& tracker, const Ids& tokens) {
  const ReasoningSplit found = tracker.split(tokens);
  return {static_cast<std::int32_t>(found.begin), static_cast<std::int32_t>(found.end),
          static_cast<std::int32_t>(found.answer)};
}

TEST(ReasoningTracker, TellsThoughtsFromTheAnswer) {
  const ReasoningTracker at_mark(kMarks, ReasoningStart::at_mark, {});
  EXPECT_EQ(split(at_mark, {kOpen, 7, 8, kClose, 9}), (Ids{1, 3, 4}));
  EXPECT_EQ(split(at_mark, {kOpen, kClose, 9}), (Ids{1, 1, 2}));
  EXPECT_EQ(split(at_mark, {kOpen, 7, 8}), (Ids{1, 3, 3}));  // ended in the middle
  EXPECT_EQ(split(at_mark, {7, kOpen, 8, kClose}), (Ids{0, 0, 0}));
  EXPECT_EQ(split(at_mark, {}), (Ids{0, 0, 0}));
  const ReasoningTracker inside(kMarks, ReasoningStart::inside, {});
  EXPECT_EQ(split(inside, {7, 8, kClose, 9}), (Ids{0, 2, 3}));
  EXPECT_EQ(split(inside, {kClose}), (Ids{0, 0, 1}));
  EXPECT_EQ(split(inside, {7}), (Ids{0, 1, 1}));
}

TEST(ReasoningTracker, MarksOfSeveralTokens) {
  const ReasoningTracker tracker(kChannels, ReasoningStart::at_mark, {});
  EXPECT_EQ(split(tracker, {1, 6, 2, 7, 3, 4, 1, 5, 2, 9}), (Ids{1, 6, 9}));
  EXPECT_EQ(split(tracker, {1, 5, 2, 9}), (Ids{1, 1, 3}));  // no thoughts
  EXPECT_EQ(split(tracker, {1, 6, 1, 1, 5, 2, 9}), (Ids{1, 3, 6}));
}

TEST(ReasoningTracker, EndsWhatIsTooLong) {
  const ReasoningTracker tracker(kMarks, ReasoningStart::inside, 2);
  ReasoningTracker::State state = tracker.start();
  EXPECT_EQ(tracker.forced(state), std::nullopt);
  state = tracker.next(tracker.next(state, 7), 8);
  EXPECT_EQ(tracker.forced(state), kClose);
  EXPECT_EQ(tracker.next(state, kClose).phase, Phase::answer);
  EXPECT_EQ(split(tracker, {7, 8, kClose, 9}), (Ids{0, 2, 3}));
  EXPECT_EQ(split(tracker, {7, kClose, 9}), (Ids{0, 1, 2}));
  EXPECT_EQ(ReasoningTracker(kMarks, ReasoningStart::inside, 0)
                .forced(ReasoningTracker(kMarks, ReasoningStart::inside, 0).start()),
            kClose);
  // All of the mark is written, but not behind its own beginning.
  const ReasoningTracker channels(kChannels, ReasoningStart::at_mark, 2);
  EXPECT_EQ(split(channels, {1, 6, 7, 3, 4, 1, 5, 2, 9}), (Ids{1, 3, 8}));
  EXPECT_EQ(split(channels, {1, 6, 1, 5, 2, 9}), (Ids{1, 2, 5}));
}

/// Of the answer: 8, then 9.
class EightNine : public TokenConstraint {
 public:
  State start() const override { return 0; }
  void allowed(State state, TokenMask& mask) const override {
    if (state < 2) mask.add(state == 0 ? 8 : 9);
  }
  std::optional<State> advance(State state, std::int32_t token) const override {
    if (state == 0 && token == 8) return 1;
    if (state == 1 && token == 9) return 2;
    return std::nullopt;
  }
};

/// The tokens of ten that may come next.
Ids allowed(const TokenConstraint& constraint, TokenConstraint::State state) {
  std::vector<float> scores(10, 0);
  constrain_scores(constraint, state, scores);
  Ids tokens;
  for (std::int32_t t = 0; t < 10; ++t) {
    if (scores[static_cast<std::size_t>(t)] != -std::numeric_limits<float>::infinity()) tokens.push_back(t);
  }
  return tokens;
}

TEST(ReasoningConstraint, LeavesThoughtsFreeAndHoldsTheAnswer) {
  const auto constraint =
      make_reasoning_constraint(std::make_shared<const ReasoningTracker>(kMarks, ReasoningStart::at_mark, 3),
                                std::make_shared<const EightNine>());
  const auto start = constraint->start();
  EXPECT_EQ(allowed(*constraint, start), (Ids{kOpen, 8}));
  // Without thoughts.
  EXPECT_EQ(allowed(*constraint, *constraint->advance(start, 8)), (Ids{9}));
  EXPECT_EQ(constraint->advance(start, 7), std::nullopt);
  // With thoughts, which end at the limit.
  auto state = *constraint->advance(start, kOpen);
  EXPECT_EQ(allowed(*constraint, state).size(), 10u);
  for (const std::int32_t thought : {7, 9, 8}) state = *constraint->advance(state, thought);
  EXPECT_EQ(allowed(*constraint, state), (Ids{kClose}));
  EXPECT_EQ(constraint->advance(state, 7), std::nullopt);
  state = *constraint->advance(state, kClose);
  EXPECT_EQ(allowed(*constraint, state), (Ids{8}));
  state = *constraint->advance(*constraint->advance(state, 8), 9);
  EXPECT_EQ(allowed(*constraint, state), (Ids{}));
}

TEST(ReasoningConstraint, WithoutAnotherOneTheAnswerIsFree) {
  const auto constraint = make_reasoning_constraint(
      std::make_shared<const ReasoningTracker>(kMarks, ReasoningStart::inside, std::nullopt), nullptr);
  EXPECT_EQ(allowed(*constraint, constraint->start()).size(), 10u);
  const auto answer = *constraint->advance(*constraint->advance(constraint->start(), 7), kClose);
  EXPECT_EQ(allowed(*constraint, answer).size(), 10u);
  EXPECT_NE(constraint->advance(answer, kClose), std::nullopt);
  const auto one = make_one_token_constraint();
  EXPECT_TRUE(one->is_free(one->start()));
  EXPECT_EQ(allowed(*one, *one->advance(one->start(), 3)), (Ids{}));
}

}  // namespace
}  // namespace mmbatch
