#include "text/constraint/regex/formats.h"

#include <fmt/format.h>

#include <utility>

namespace mmbatch {
namespace {

constexpr const char* kTime =
    R"(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))";
// Labels of letters, digits and single hyphens: no punycode, which cannot be checked byte by byte.
constexpr const char* kLabel = "[A-Za-z0-9](-?[A-Za-z0-9]){0,31}";

/// Dates that exist, years 0001 to 9999.
std::string date() {
  const std::string year = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)";
  // Divisible by four and not by a hundred, or by four hundred.
  const std::string leap = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)";
  return fmt::format(
      "({0}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
      "02-(0[1-9]|1[0-9]|2[0-8]))|{1}-02-29)",
      year, leap);
}

std::string duration() {
  const std::string n = "[0-9]{1,9}";
  const std::string day = fmt::format("({0}Y({0}M({0}D)?)?|{0}M({0}D)?|{0}D)", n);
  const std::string time = fmt::format("T({0}H({0}M({0}S)?)?|{0}M({0}S)?|{0}S)", n);
  return fmt::format("P({0}({1})?|{1}|{2}W)", day, time, n);
}

std::string ipv6() {
  const std::string h = "[0-9A-Fa-f]{1,4}";
  std::string out = fmt::format("({0}:){{7}}{0}", h);
  // `::` stands for one group or more: up to seven others, i of them before it.
  for (int before = 0; before <= 7; ++before) {
    std::string left, right;
    if (before > 0) left = fmt::format("{0}(:{0}){{{1}}}", h, before - 1);
    const int behind = 7 - before;
    if (behind > 0) right = fmt::format("({0}(:{0}){{0,{1}}})?", h, behind - 1);
    out += "|" + left + "::" + right;
  }
  return "(" + out + ")";
}

std::string uri() {
  // RFC 3986 with a host or a path, without user part, brackets and escapes in hosts.
  const std::string plain = "A-Za-z0-9._~!$&'()*+,;=:@";
  const std::string character = fmt::format("([{}-]|%[0-9A-Fa-f]{{2}})", plain);
  const std::string path_character = fmt::format("([{}/-]|%[0-9A-Fa-f]{{2}})", plain);
  const std::string extra = fmt::format("([{}/?-]|%[0-9A-Fa-f]{{2}})*", plain);
  return fmt::format(
      "[A-Za-z][A-Za-z0-9+.-]*:(//[A-Za-z0-9._~-]+(:[0-9]{{1,5}})?(/{1}*)?|/"
      "({0}{1}*)?|{0}{1}*)(\\?{2})?(#{2})?",
      character, path_character, extra);
}

const std::vector<std::pair<std::string, std::string>>& formats() {
  static const std::vector<std::pair<std::string, std::string>> all = {
      {"date", date()},
      {"time", kTime},
      {"date-time", date() + "T" + kTime},
      {"duration", duration()},
      {"email",
       fmt::format("[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{0}(\\.{0})+",
                   kLabel)},
      {"hostname", fmt::format("{0}(\\.{0})*", kLabel)},
      {"ipv4",
       "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"},
      {"ipv6", ipv6()},
      {"uuid", "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"},
      {"uri", uri()}};
  return all;
}

}  // namespace

std::optional<std::string> format_pattern(std::string_view format) {
  for (const auto& [name, pattern] : formats()) {
    if (name == format) return pattern;
  }
  return std::nullopt;
}

std::vector<std::string> string_formats() {
  std::vector<std::string> names;
  for (const auto& [name, pattern] : formats()) names.push_back(name);
  return names;
}

}  // namespace mmbatch
