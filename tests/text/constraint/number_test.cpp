// Number automata against exact arithmetic: a digit is allowed exactly if some number that begins so is
// allowed.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "text/constraint/schema/number_rule.h"

namespace mmbatch {
namespace {

std::string text_of(long units, int decimals) {
  const bool negative = units < 0;
  std::string digits = std::to_string(negative ? -units : units);
  while (static_cast<int>(digits.size()) <= decimals) digits = "0" + digits;
  std::string out = digits.substr(0, digits.size() - static_cast<std::size_t>(decimals));
  if (decimals > 0) out += "." + digits.substr(digits.size() - static_cast<std::size_t>(decimals));
  return (negative ? "-" : "") + out;
}

TEST(ConstraintNumbers, ARangeIsExact) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    const long a = static_cast<long>(random() % 4000) - 2000, b = static_cast<long>(random() % 4000) - 2000;
    NumberRule rule;
    rule.decimals = 2;
    rule.minimum = Decimal::parse(text_of(std::min(a, b), 2));
    rule.maximum = Decimal::parse(text_of(std::max(a, b), 2));
    rule.above_minimum = random() % 2 == 0;
    rule.below_maximum = random() % 2 == 0;
    Work work;
    const Dfa dfa = number_texts(rule, work);
    for (long units = -2100; units <= 2100; units += 1 + static_cast<long>(random() % 3)) {
      const bool inside = (rule.above_minimum ? units > std::min(a, b) : units >= std::min(a, b)) &&
                          (rule.below_maximum ? units < std::max(a, b) : units <= std::max(a, b));
      EXPECT_EQ(dfa.matches(text_of(units, 2)), inside)
          << text_of(units, 2) << " from " << rule.minimum->text() << " to " << rule.maximum->text();
    }
    EXPECT_FALSE(dfa.matches("-0"));
    EXPECT_FALSE(dfa.matches("00"));
  }
}

TEST(ConstraintNumbers, Multiples) {
  NumberRule rule;
  rule.whole = true;
  rule.multiple_of = 7;
  rule.minimum = Decimal::parse("-100");
  rule.maximum = Decimal::parse("1000");
  Work work;
  const Dfa dfa = number_texts(rule, work);
  for (int n = -200; n <= 1100; ++n)
    EXPECT_EQ(dfa.matches(std::to_string(n)), n % 7 == 0 && n >= -100 && n <= 1000) << n;
}

TEST(ConstraintNumbers, DecimalsAreExact) {
  EXPECT_EQ(Decimal::parse("1.50e1"), Decimal::parse("15"));
  EXPECT_LT(Decimal::parse("-2"), Decimal::parse("-1.99"));
  EXPECT_GT(Decimal::parse("1e3"), Decimal::parse("999.999"));
  EXPECT_EQ(Decimal::parse("1e3").text(), "1000");
  EXPECT_EQ(Decimal::parse("-0.50").text(), "-0.5");
  EXPECT_EQ(Decimal::parse("6.02e23").text(), "6.02e23");
  EXPECT_EQ(Decimal::parse("-0").text(), "0");
}

TEST(ConstraintNumbers, BeyondWhatCanBeWrittenNothingIsLeft) {
  NumberRule rule;
  rule.minimum = Decimal::parse("1e300");
  Work work;
  EXPECT_TRUE(number_texts(rule, work).empty());
}

}  // namespace
}  // namespace mmbatch
