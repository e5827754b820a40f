#include "jobs/metrics/metrics.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

std::vector<std::string> humans(std::vector<std::pair<std::string, int>> counts) {
  std::vector<std::string> out;
  for (const auto& [answer, count] : counts) out.insert(out.end(), static_cast<std::size_t>(count), answer);
  return out;
}

TEST(VqaAccuracy, ByNumberOfMatches) {
  const double expected[] = {0, 0.3, 0.6, 0.9, 1, 1, 1, 1, 1, 1};
  for (int k = 0; k < 10; ++k) {
    EXPECT_NEAR(vqa_accuracy("blue", humans({{"blue", k}, {"red", 10 - k}})), expected[k], 1e-12) << k;
  }
  EXPECT_DOUBLE_EQ(vqa_accuracy("blue", humans({{"blue", 10}})), 1);
}

TEST(VqaAccuracy, NormalisesOnlyWhereHumansDiffer) {
  EXPECT_DOUBLE_EQ(vqa_accuracy("Yes", humans({{"yes", 10}})), 0);
  EXPECT_DOUBLE_EQ(vqa_accuracy("Yes", humans({{"yes", 9}, {"no", 1}})), 1);
  EXPECT_DOUBLE_EQ(vqa_accuracy(" yes\n", humans({{"yes", 10}})), 1);
  EXPECT_NEAR(vqa_accuracy("two dogs", humans({{"2 dogs", 2}, {"The two dogs", 1}, {"dogs", 7}})), 0.9,
              1e-12);
}

TEST(VqaAccuracy, FewAnswersAreMatchedExactlyAfterNormalisation) {
  EXPECT_DOUBLE_EQ(vqa_accuracy("A Blue.", {"blue"}), 1);
  EXPECT_DOUBLE_EQ(vqa_accuracy("blue", {"red", "the blue"}), 1);
  EXPECT_DOUBLE_EQ(vqa_accuracy("green", {"red", "blue"}), 0);
  EXPECT_DOUBLE_EQ(vqa_accuracy("green", {}), 0);
}

TEST(VqaNormalized, FollowsTheEvaluatorsRules) {
  EXPECT_EQ(vqa_normalized("The  Cat"), "cat");
  EXPECT_EQ(vqa_normalized("None"), "0");
  EXPECT_EQ(vqa_normalized("ten an apple"), "10 apple");
  EXPECT_EQ(vqa_normalized("dont"), "don't");
  EXPECT_EQ(vqa_normalized("Im"), "im");                          // the map's capitals never match
  EXPECT_EQ(vqa_normalized("somebody'd"), "somebodyd");           // a slip of the map
  EXPECT_EQ(vqa_normalized("red/blue"), "red blue");              // no space beside it: a space
  EXPECT_EQ(vqa_normalized("red / blue"), "red blue");            // a space beside it: deleted
  EXPECT_EQ(vqa_normalized("red- blue-green"), "red bluegreen");  // one space beside it decides for all
  EXPECT_EQ(vqa_normalized("1,000"), "1000");                     // digit, comma, digit: deleted
  EXPECT_EQ(vqa_normalized("1,000-2"), "10002");                  // … and so is all other punctuation
  EXPECT_EQ(vqa_normalized("a,b"), "b");                          // "a b", then the article goes
  EXPECT_EQ(vqa_normalized("3.5"), "3.5");
  EXPECT_EQ(vqa_normalized("3."), "3");
  EXPECT_EQ(vqa_normalized("5.m 7.2"), "5m 7.2");  // the typo: a digit before does not save a period
  EXPECT_EQ(vqa_normalized("o'clock: now"), "o'clock: now");             // apostrophe and colon stay
  EXPECT_EQ(vqa_normalized(std::string(40, '.')), std::string(8, '.'));  // re.UNICODE = 32 as count
  EXPECT_EQ(vqa_normalized("yes!\tok\n"), "yes ok");
}

TEST(ExactMatch, AWholeNumberMayHaveAFractionOfZeros) {
  EXPECT_TRUE(exact_match("2", {"2.0"}));
  EXPECT_TRUE(exact_match(" -12 ", {"-12.00"}));
  EXPECT_TRUE(exact_match("2.0", {"2"}));
  EXPECT_TRUE(exact_match("3.10", {"3.10"}));
  EXPECT_DOUBLE_EQ(vqa_accuracy("2", {"2.0"}), 1);
  for (const char* other : {"3.1", "3", "2.", ".0", "20", "2.0.0", "2.01", "-2", "two"})
    EXPECT_FALSE(exact_match(other, {"2.0", "3.10"})) << other;
}

TEST(ExactMatch, WithOptions) {
  EXPECT_TRUE(exact_match(" blue\n", {"blue"}));
  EXPECT_FALSE(exact_match("Blue", {"blue"}));
  EXPECT_TRUE(exact_match("red", {"blue", "red "}));
  EXPECT_FALSE(exact_match("red", {}));
  MatchOptions options;
  options.ignore_case = true;
  EXPECT_TRUE(exact_match("ÉTÉ Ж", {"été ж"}, options));
  options.ignore_punctuation = true;
  EXPECT_TRUE(exact_match("It's Blue.", {"its blue"}, options));
  options.ignore = {"^answer: *"};
  EXPECT_TRUE(exact_match("answer: blue!", {"Blue"}, options));
  options.ignore = {"("};
  EXPECT_THROW(Matcher{options}, UsageError);
}

TEST(Levenshtein, CountsCodePoints) {
  EXPECT_EQ(levenshtein("kitten", "sitting"), 3u);
  EXPECT_EQ(levenshtein("", "abc"), 3u);
  EXPECT_EQ(levenshtein("日本", "日本語"), 1u);
}

TEST(Anls, ByHand) {
  EXPECT_DOUBLE_EQ(anls("Blue ", {"blue"}), 1);
  EXPECT_DOUBLE_EQ(anls("abcd", {"abce"}), 0.75);
  EXPECT_DOUBLE_EQ(anls("ab", {"ac"}), 0);  // half is too far
  EXPECT_DOUBLE_EQ(anls("abcde", {"abcxy"}), 1 - 2.0 / 5);
  EXPECT_DOUBLE_EQ(anls("hello", {"zzz", "hallo"}), 0.8);
  EXPECT_DOUBLE_EQ(anls("", {""}), 1);
  EXPECT_DOUBLE_EQ(anls("a", {"abc"}), 0);
}

TEST(ScoreAnswer, NeedsReferences) {
  EXPECT_FALSE(score_answer("x", {}).has_value());
  const auto score = score_answer("The blue", {"blue"});
  ASSERT_TRUE(score.has_value());
  EXPECT_FALSE(score->correct);
  EXPECT_DOUBLE_EQ(score->score, 1);
}

}  // namespace
}  // namespace mmbatch
