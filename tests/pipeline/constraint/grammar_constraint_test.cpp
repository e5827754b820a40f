// What is read of tokens that do not come is not part of the answer, whose reading is bounded.

#include "pipeline/constraint/grammar_constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include "text/constraint/constraint.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using Tokens = std::vector<std::int32_t>;

/// Any JSON object: every text of a free key has frames of its own.
struct AnyObject {
  AnyObject()
      : tokens(std::make_shared<const TokenBytes>(
            load_tokenizer(std::filesystem::path(MMBATCH_TEST_DATA) / "tokenizers" / "qwen3"))) {
    ConstraintSpec spec;
    spec.kind = ConstraintSpec::Kind::json_object;
    const auto grammar = compile_constraint(spec).grammar;
    constraint.emplace(std::make_shared<TokenMasks>(grammar, tokens), Tokens{0},
                       std::make_shared<const LeastBytes>(grammar));
  }
  Tokens ids(const std::string& text) const { return tokens->tokenizer().encode_continuation(text); }
  /// The state behind a text.
  TokenConstraint::State behind(const std::string& text) const {
    TokenConstraint::State state = constraint->start();
    for (const std::int32_t token : ids(text)) state = constraint->advance(state, token).value();
    return state;
  }

  std::shared_ptr<const TokenBytes> tokens;
  std::optional<GrammarConstraint> constraint;
};

TEST(GrammarConstraint, GuessesLeaveNothingBehind) {
  const AnyObject any;
  const auto state = any.behind("{\"key");
  const std::size_t before = any.constraint->frames();
  const Tokens right = any.ids(" of it\": [1, 2, {\"x\": null}]}");
  EXPECT_EQ(any.constraint->fits(state, right), right.size());
  const Tokens wrong = any.ids(" of it\": [1, 2} and more");
  const std::size_t fits = any.constraint->fits(state, wrong);
  EXPECT_GT(fits, 2u);
  EXPECT_LT(fits, wrong.size());
  EXPECT_EQ(any.constraint->frames(), before);
  // As token by token.
  auto at = std::optional(state);
  for (std::size_t i = 0; i < fits; ++i) at = any.constraint->advance(*at, wrong[i]);
  ASSERT_TRUE(at);
  EXPECT_FALSE(any.constraint->advance(*at, wrong[fits]));
  EXPECT_GT(any.constraint->frames(), before);
}

TEST(GrammarConstraint, GuessesMayEndTheAnswer) {
  const AnyObject any;
  const auto inside = any.behind("{\"a\": 1"), ended = any.behind("{\"a\": 1}");
  EXPECT_EQ(any.constraint->fits(inside, Tokens{0}), 0u);
  EXPECT_EQ(any.constraint->fits(ended, Tokens{0}), 1u);
}

TEST(GrammarConstraint, TokensThatMayNotComeLeaveNothingBehind) {
  const AnyObject any;
  const auto state = any.behind("{\"key");
  const std::size_t before = any.constraint->frames();
  for (const std::int32_t token : any.ids("\n")) EXPECT_FALSE(any.constraint->advance(state, token));
  EXPECT_EQ(any.constraint->frames(), before);
}

TEST(GrammarConstraint, WhatLeavesRoomIsTriedWithoutATrace) {
  const AnyObject any;
  const auto state = any.behind("{\"key");
  std::size_t needed = 0;
  while (!any.constraint->has_room(state, needed)) ++needed;
  const std::size_t before = any.constraint->frames();
  for (std::size_t left = needed; left < needed + 3; ++left) {
    TokenMask first(any.tokens->vocab()), again(any.tokens->vocab());
    any.constraint->allowed_within(state, left, first);
    EXPECT_EQ(any.constraint->frames(), before);
    any.constraint->allowed_within(state, left, again);
    EXPECT_TRUE(std::ranges::equal(first.words(), again.words()));
    std::size_t count = 0;
    for (std::size_t token = 0; token < any.tokens->vocab(); ++token) count += first.has(token) ? 1 : 0;
    EXPECT_GT(count, 0u);
  }
}

}  // namespace
}  // namespace mmbatch
