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

}  // namespace
}  // namespace mmbatch
