// Small grammars that take very many steps where nothing bounds them.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/text/constraint/hostile/refusal.h"
#include "text/constraint/grammar/machine.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

bool accepts(const std::string& grammar, const std::string& text) {
  Machine machine(testing::compiled_text(ConstraintSpec::Kind::grammar, grammar).grammar);
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  return machine.may_end(state);
}

TEST(HostileGrammar, OptionalPartsWithinEachOther) {
  constexpr int kLevels = 60;
  std::string grammar = "root ::= n1\nr ::= \"(\" r \")\" | \"x\"\n";
  for (int i = 1; i < kLevels; ++i) grammar += fmt::format("n{} ::= n{}? r?\n", i, i + 1);
  grammar += fmt::format("n{} ::= \"b\"? r?\n", kLevels);
  EXPECT_TRUE(accepts(grammar, "((x))x"));
  EXPECT_TRUE(accepts(grammar, "bx(x)"));
  EXPECT_FALSE(accepts(grammar, "((x)b"));
  EXPECT_FALSE(accepts(grammar, "xb"));
}

TEST(HostileGrammar, AlternativesThatAreTheSameRule) {
  constexpr int kLevels = 60;
  std::string grammar = "root ::= n1\nr ::= \"(\" r \")\" | \"x\"\n";
  for (int i = 1; i < kLevels; ++i) grammar += fmt::format("n{0} ::= n{1} | (n{1})\n", i, i + 1);
  grammar += fmt::format("n{} ::= r\n", kLevels);
  EXPECT_TRUE(accepts(grammar, "((x))"));
  EXPECT_FALSE(accepts(grammar, "((x)"));
}

/// Rules each of which names the next one in two ways that lead back to different places.
std::string doubled(int levels, const std::string& before) {
  std::string grammar = "root ::= n1\nr ::= \"(\" r \")\" | \"x\"\n";
  for (int i = 1; i < levels; ++i)
    grammar += fmt::format("n{0} ::= {1} n{2} \"y\" | {1} n{2} \"z\"\n", i, before, i + 1);
  return grammar + fmt::format("n{} ::= r\n", levels);
}

TEST(HostileGrammar, WaysToBeginThatDoubleAreRefused) {
  EXPECT_EQ(testing::refusal_of(ConstraintSpec::Kind::grammar, doubled(10, "")), "");
  EXPECT_TRUE(accepts(doubled(10, ""), "(x)yzyzyyyzz"));
  EXPECT_FALSE(accepts(doubled(10, ""), "(x)yzyzyyyz"));
  for (const int levels : {20, 200}) {
    EXPECT_THAT(testing::refusal_of(ConstraintSpec::Kind::grammar, doubled(levels, "")),
                HasSubstr("may begin in more than 4096 ways"));
  }
}

TEST(HostileGrammar, WaysThatDoubleByteByByteEndInAnError) {
  const std::string few(9, 'a'), many(199, 'a');
  EXPECT_TRUE(accepts(doubled(10, "\"a\""), few + "xyzyzyyyzz"));
  try {
    accepts(doubled(200, "\"a\""), many);
    FAIL() << "no error";
  } catch (const TooAmbiguous& e) {
    EXPECT_EQ(e.code(), ErrorCode::unsupported);
    EXPECT_THAT(e.what(), HasSubstr("more than 4096 ways at once"));
  }
}

TEST(HostileGrammar, RulesThatAreEmptyOneAfterTheOther) {
  // Every round finds one more rule that may be empty, and looks at all alternatives of `many`.
  constexpr int kRules = 1990, kAlternatives = 60'000;
  std::string grammar = "root ::= r1\nx ::= \"x\"\nmany ::= x";
  for (int i = 1; i < kAlternatives; ++i) grammar += "|x";
  for (int i = 1; i < kRules; ++i) grammar += fmt::format("\nr{} ::= r{}", i, i + 1);
  grammar += fmt::format("\nr{} ::= \"\"", kRules);
  EXPECT_THAT(testing::refusal_of(ConstraintSpec::Kind::grammar, grammar), HasSubstr("too many steps"));
}

TEST(HostileGrammar, OneRuleThatIsNamedVeryOftenCountsOnce) {
  constexpr int kRules = 1990, kAlternatives = 220'000;
  std::string grammar = "root ::= r1\nx ::= \"x\"\nmany ::= x";
  for (int i = 1; i < kAlternatives; ++i) grammar += "|x";
  for (int i = 1; i < kRules; ++i) grammar += fmt::format("\nr{} ::= r{}", i, i + 1);
  grammar += fmt::format("\nr{} ::= many", kRules);
  EXPECT_TRUE(accepts(grammar, "x"));
}

TEST(HostileGrammar, RulesThatNestWhenPutIntoEachOther) {
  constexpr int kRules = 900, kParentheses = 90;
  const std::string open(kParentheses, '('), close(kParentheses, ')');
  std::string grammar = "root ::= \"a\" r0\n";
  for (int i = 0; i < kRules; ++i) grammar += fmt::format("r{} ::= {}r{}{}\n", i, open, i + 1, close);
  grammar += fmt::format("r{} ::= \"b\"\n", kRules);
  EXPECT_TRUE(accepts(grammar, "ab"));
  EXPECT_FALSE(accepts(grammar, "a"));
}

TEST(HostileRegex, ManyStatesAtOnceAreCountedForWhatTheyCost) {
  for (const char* pattern : {"(a?){30000}a{30000}", "(.*a){2000}"}) {
    EXPECT_THAT(testing::refusal_of(ConstraintSpec::Kind::regex, pattern), HasSubstr("too many")) << pattern;
  }
}

}  // namespace
}  // namespace mmbatch
