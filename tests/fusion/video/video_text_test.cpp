#include "fusion/video/video_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

using ::testing::HasSubstr;

std::string fault(const VideoInput& video, const std::string& text) {
  try {
    write_video(video, {{1}, 0}, text);
  } catch (const ItemError& e) {
    return e.what();
  }
  return "";
}

TEST(VideoText, NumbersInWordsAreEnglish) {
  // What num2words writes.
  EXPECT_EQ(number_in_words(1), "one");
  EXPECT_EQ(number_in_words(12), "twelve");
  EXPECT_EQ(number_in_words(40), "forty");
  EXPECT_EQ(number_in_words(64), "sixty-four");
  EXPECT_EQ(number_in_words(100), "one hundred");
  EXPECT_EQ(number_in_words(219), "two hundred and nineteen");
  EXPECT_EQ(number_in_words(1000), "one thousand");
  EXPECT_EQ(number_in_words(1024), "one thousand and twenty-four");
  EXPECT_EQ(number_in_words(1101), "one thousand, one hundred and one");
}

TEST(VideoText, EachGroupHasTheTimeOfItsMiddle) {
  const VideoInput video{.token = "<video>",
                         .written = "<video>",
                         .row_token = "*",
                         .frames = 2,
                         .text = {.before_each = "<{seconds} seconds>[", .after_each = "]"},
                         .form = {}};
  // 0.25 and 1.25 are printed as Python prints them; the last frame is its own pair.
  EXPECT_EQ(write_video(video, {{0, 0.5, 1, 1.5, 2}, 0}, "a <video> b"),
            "a <0.2 seconds>[*]<1.2 seconds>[*]<2.0 seconds>[*] b");
}

TEST(VideoText, LengthAndClock) {
  const VideoInput video{.token = "<video>",
                         .written = "<video>",
                         .row_token = "*",
                         .text = {.before = "{frames} of {length}\n", .before_each = "{clock}:"},
                         .form = {}};
  EXPECT_EQ(write_video(video, {{1, 61.9}, 3725.5}, "<video>"), "two of 1:02:05\n00:01:*01:01:*");
  EXPECT_EQ(write_video(video, {{1, 61.9}, 0}, "<video>"), "two of 0:01:01\n00:01:*01:01:*");  // not known
  EXPECT_EQ(write_video(video, {{0}, 90061}, "<video>"), "one of 1 day, 1:01:01\n00:00:*");
}

TEST(VideoText, AVideoHasOnePlace) {
  const VideoInput video{.token = "<video>", .written = "<video>", .row_token = "*", .text = {}, .form = {}};
  EXPECT_THAT(fault(video, "none"), HasSubstr("has 0 places for a video (<video>)"));
  EXPECT_THAT(fault(video, "<video><video>"), HasSubstr("has 2 places"));
}

}  // namespace
}  // namespace mmbatch
