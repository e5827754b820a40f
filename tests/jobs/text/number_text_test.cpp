#include "jobs/text/number_text.h"

#include <gtest/gtest.h>

namespace mmbatch {
namespace {

TEST(NumberText, ExactIsTheShortestThatReadsBack) {
  EXPECT_EQ(exact_number(1e15 + 0.5), "1000000000000000.5");
  EXPECT_EQ(exact_number(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(exact_number(1234567.89), "1234567.89");
  for (const double value : {1.0 / 3, -2.5e-300, 1.7976931348623157e308})
    EXPECT_EQ(std::stod(exact_number(value)), value);
}

TEST(NumberText, ReadableKeepsWholeDigitsAndCents) {
  EXPECT_EQ(readable_number(1234567.89), "1234567.89");
  EXPECT_EQ(readable_number(-99999.99), "-99999.99");
  EXPECT_EQ(readable_number(123456789012345.1), "123456789012345.1");
  EXPECT_EQ(readable_number(999999.999), "1000000");
  EXPECT_EQ(readable_number(-12.345678), "-12.3457");
  EXPECT_EQ(readable_number(0.1 + 0.2), "0.3");
  EXPECT_EQ(readable_number(0.000012345678), "1.23457e-05");
  EXPECT_EQ(readable_number(1.5e20), "1.5e+20");
  EXPECT_EQ(readable_number(0), "0");
}

}  // namespace
}  // namespace mmbatch
