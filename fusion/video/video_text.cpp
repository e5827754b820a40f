#include "fusion/video/video_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

/// As Python prints a timedelta of whole seconds.
std::string length_text(std::int64_t seconds) {
  constexpr std::int64_t kDay = 24 * 3600;
  const std::int64_t days = seconds / kDay, rest = seconds % kDay;
  const std::string clock = fmt::format("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
  return days == 0 ? clock : fmt::format("{} day{}, {}", days, days == 1 ? "" : "s", clock);
}

std::string with_time(const std::string& text, double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  return replace_all(replace_all(text, "{seconds}", fmt::format("{:.1f}", seconds)), "{clock}",
                     fmt::format("{:02}:{:02}", whole / 60, whole % 60));
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

std::string written_out(const VideoInput& video, const ShownFrames& shown) {
  const std::vector<double>& times = shown.times;
  const double length = shown.length > 0 ? shown.length : times.back();
  std::string out = replace_all(replace_all(video.text.before, "{frames}", number_in_words(times.size())),
                                "{length}", length_text(static_cast<std::int64_t>(length)));
  for (std::size_t begin = 0; begin < times.size(); begin += video.frames) {
    const std::size_t last = std::min(begin + video.frames, times.size()) - 1;
    const double time = (times[begin] + times[last]) / 2;
    out += with_time(video.text.before_each, time) + video.row_token + with_time(video.text.after_each, time);
  }
  return out + video.text.after;
}

}  // namespace

std::string number_in_words(std::size_t number) {
  static constexpr std::array<const char*, 20> kSmall = {
      "zero",     "one",     "two",     "three",     "four",     "five",    "six",
      "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
      "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
  static constexpr std::array<const char*, 10> kTens = {"",      "",      "twenty",  "thirty", "forty",
                                                        "fifty", "sixty", "seventy", "eighty", "ninety"};
  if (number < kSmall.size()) return kSmall[number];
  const auto joined = [](std::string front, std::size_t rest, const char* between) {
    return rest == 0 ? front : front + between + number_in_words(rest);
  };
  if (number < 100) return joined(kTens[number / 10], number % 10, "-");
  if (number < 1000) return joined(number_in_words(number / 100) + " hundred", number % 100, " and ");
  return joined(number_in_words(number / 1000) + " thousand", number % 1000,
                number % 1000 < 100 ? " and " : ", ");
}

std::string write_video(const VideoInput& video, const ShownFrames& frames, std::string_view text) {
  const std::size_t places = count_of(text, video.token);
  if (places != 1) {
    throw ItemError(
        ErrorCode::invalid_value,
        fmt::format("the prompt has {} places for a video ({}), there is one video", places, video.token));
  }
  return replace_all(text, video.token, written_out(video, frames));
}

}  // namespace mmbatch
