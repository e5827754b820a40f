#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace mmbatch {

/// The time in UTC, as ISO 8601 with milliseconds: "2026-01-31T12:34:56.789Z".
std::string utc_now();

/// A date and time, "2026-01-31T12:34:56", with or without what utc_now() writes behind it, or a date alone;
/// with the day of the week and of the year. None for anything else, nor
/// for a day that its month does not have.
std::optional<std::tm> read_time(std::string_view text);
/// Seconds since 1970, with their fraction, of what read_time() reads.
std::optional<double> unix_seconds(std::string_view text);
/// "2026-01-31T12:34:56"
std::string time_text(const std::tm& time);

}  // namespace mmbatch
