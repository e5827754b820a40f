#include "jobs/text/pattern.h"

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

TEST(Pattern, DropsWhatItMatches) {
  EXPECT_EQ(Pattern("^answer: *").without_matches("answer:  blue"), "blue");
  EXPECT_EQ(Pattern("[aeiou]").without_matches("a red circle"), " rd crcl");
  EXPECT_EQ(Pattern("x").without_matches(""), "");
  EXPECT_EQ(Pattern("").without_matches("blue"), "blue");
  EXPECT_EQ(Pattern("(?<=a)b|b(?=c)").without_matches("ab bc bb"), "a c bb");
}

TEST(Pattern, TakesTextsByCodePoints) {
  EXPECT_EQ(Pattern("^.").without_matches("été"), "té");
  EXPECT_EQ(Pattern("\\w+").without_matches("青い, 三角形"), ", ");
  EXPECT_EQ(Pattern("b").without_matches("a\xFFz b"), "a\xFFz ") << "bytes that are not UTF-8 stay";
}

TEST(Pattern, SaysWhereItIsWrong) {
  EXPECT_THAT(error_of<UsageError>([] { Pattern("blue("); }), HasSubstr("at character 6"));
  EXPECT_THAT(error_of<UsageError>([] { Pattern("\\C"); }), HasSubstr("'\\C'"));
}

TEST(Pattern, LongTextsTakeNoStack) {
  std::string text;
  for (int i = 0; i < 500'000; ++i) text += "ab";
  EXPECT_EQ(Pattern("[a-z]+").without_matches(text), "");
  EXPECT_EQ(Pattern("(?:ab)+").without_matches(text), "");
}

TEST(Pattern, EndsWhereRepetitionsOfRepetitionsWouldNot) {
  const std::string text = std::string(60, 'a') + "b";
  EXPECT_THAT(error_of<UsageError>([&] { Pattern("(a+)+$").without_matches(text); }),
              HasSubstr("takes too long on a text of 61 bytes"));
}

}  // namespace
}  // namespace mmbatch
