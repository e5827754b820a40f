#include "jobs/text/clock.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>

namespace mmbatch {

std::string utc_now() {
  using namespace std::chrono;
  const auto now = time_point_cast<milliseconds>(system_clock::now());
  const std::time_t seconds = system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.time_since_epoch().count() % 1000);
}

std::string time_text(const std::tm& time) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", time.tm_year + 1900, time.tm_mon + 1,
                     time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
}

std::optional<std::tm> read_time(std::string_view text) {
  if (text.size() > 32) return std::nullopt;
  const std::string copy(text);
  std::tm time{};
  const char* end = ::strptime(copy.c_str(), "%Y-%m-%d", &time);
  if (end == nullptr) return std::nullopt;
  if (*end != '\0') end = ::strptime(end, "T%H:%M:%S", &time);
  if (end == nullptr) return std::nullopt;
  if (*end == '.') end += 1 + std::strspn(end + 1, "0123456789");
  if (*end == 'Z') ++end;
  if (*end != '\0') return std::nullopt;
  const std::tm written = time;
  ::timegm(&time);  // fills in the days, and makes 2 March of 30 February
  const bool exists = time.tm_mday == written.tm_mday && time.tm_sec == written.tm_sec;
  return exists ? std::optional(time) : std::nullopt;
}

std::optional<double> unix_seconds(std::string_view text) {
  auto time = read_time(text);
  if (!time) return std::nullopt;
  double fraction = 0;
  const std::size_t point = text.find('.');
  if (point != std::string_view::npos)
    std::from_chars(text.data() + point, text.data() + text.size(), fraction);
  return static_cast<double>(::timegm(&*time)) + fraction;
}

}  // namespace mmbatch
