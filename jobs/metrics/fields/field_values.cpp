#include "jobs/metrics/fields/field_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "engine/base/text/lower_case.h"
#include "jobs/metrics/metrics.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

/// Letters' case and the number of spaces do not count.
std::string folded(std::string_view text) {
  std::string out;
  for (const char c : to_lower(stripped(text))) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!space) out += c;
    if (space && !out.empty() && out.back() != ' ') out += ' ';
  }
  return out;
}

bool near(double answer, double reference, const FieldRule& rule) {
  const double allowed =
      rule.kind == FieldRule::Tolerance::relative ? rule.tolerance * std::abs(reference) : rule.tolerance;
  // Decimals have no exact doubles: 0.3 - 0.1 is within 0.2.
  return std::abs(answer - reference) <= allowed + 1e-12 * std::max(std::abs(answer), std::abs(reference));
}

std::optional<double> number_of(const FieldValue& value) {
  if (value.type == FieldValue::Type::number) return value.number;
  return value.type == FieldValue::Type::text ? number_in(value.text) : std::nullopt;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_leap(int year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

void add_day(std::set<std::string>& days, int year, int month, int day) {
  constexpr std::array kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year >= 0 && year < 100) year += 2000;
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return;
  const int last = kDays[static_cast<std::size_t>(month - 1)] + (month == 2 && is_leap(year) ? 1 : 0);
  if (day <= last) days.insert(fmt::format("{:04}-{:02}-{:02}", year, month, day));
}

/// "31", "jan", "2026": words and numbers of a text.
std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  for (const char c : to_lower(text)) {
    const bool letter = c >= 'a' && c <= 'z';
    if (!letter && !is_digit(c)) {
      if (!parts.empty() && !parts.back().empty()) parts.emplace_back();
      continue;
    }
    if (parts.empty()) parts.emplace_back();
    if (!parts.back().empty() && is_digit(parts.back().back()) != is_digit(c)) parts.emplace_back();
    parts.back() += c;
  }
  if (!parts.empty() && parts.back().empty()) parts.pop_back();
  return parts;
}

int month_named(const std::string& name) {
  constexpr std::array kMonths = {"january", "february", "march",     "april",   "may",      "june",
                                  "july",    "august",   "september", "october", "november", "december"};
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (name.size() >= 3 && std::string_view(kMonths[i]).substr(0, name.size()) == name)
      return static_cast<int>(i) + 1;
  }
  return 0;
}

}  // namespace

std::optional<double> number_in(std::string_view text) {
  std::string digits;
  std::size_t after_comma = 0, commas = 0;
  bool has_point = false, grouped = true;
  char before = ' ';
  for (const char c : stripped(text)) {
    if (is_digit(c)) {
      digits += c;
      if (commas > 0 && !has_point) ++after_comma;
    } else if (c == '.' && !has_point && !digits.empty()) {
      has_point = true;
      grouped = grouped && (commas == 0 || after_comma == 3);
      digits += c;
    } else if (c == ',' && !digits.empty() && !has_point) {
      grouped = grouped && (commas == 0 || after_comma == 3);
      ++commas;
      after_comma = 0;
    } else if (c == '-' && digits.empty()) {
      digits += c;
    } else if (is_digit(before) && (c == 'e' || c == 'E')) {
      return std::nullopt;
    }
    before = c;
  }
  if (commas > 0 && (!grouped || (!has_point && after_comma != 3))) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  if (digits.empty() || digits == "-" || end != digits.c_str() + digits.size()) return std::nullopt;
  return number;
}

std::set<std::string> dates_in(std::string_view text) {
  std::set<std::string> days;
  const std::vector<std::string> parts = parts_of(text);
  const auto number = [&](std::size_t i) {
    return parts[i].size() <= 4 && is_digit(parts[i][0]) ? std::atoi(parts[i].c_str()) : -1;
  };
  if (parts.size() == 1 && parts[0].size() == 8 && is_digit(parts[0][0])) {
    add_day(days, std::atoi(parts[0].substr(0, 4).c_str()), std::atoi(parts[0].substr(4, 2).c_str()),
            std::atoi(parts[0].substr(6, 2).c_str()));
  }
  if (parts.size() < 3) return days;
  if (const int month = month_named(parts[0])) {
    // January 31st, 2026
    const std::size_t year = parts.size() > 3 && !is_digit(parts[2][0]) ? 3 : 2;
    add_day(days, number(year), month, number(1));
    return days;
  }
  const std::size_t second = !is_digit(parts[1][0]) && month_named(parts[1]) == 0 && parts.size() > 3 ? 2 : 1;
  if (const int month = month_named(parts[second]); month > 0 && second + 1 < parts.size()) {
    add_day(days, number(second + 1), month, number(0));
    return days;
  }
  if (parts[0].size() == 4) {
    add_day(days, number(0), number(1), number(2));
    return days;
  }
  add_day(days, number(2), number(1), number(0));
  // With slashes some write the month first.
  if (text.find('/') != std::string_view::npos) add_day(days, number(2), number(0), number(1));
  return days;
}

bool same_value(const FieldValue& answer, const FieldValue& reference, const FieldRule& rule) {
  using Match = FieldRule::Match;
  Match match = rule.match;
  if (match == Match::automatic) {
    // The columns of a listing are texts, whatever they hold.
    const bool written = reference.type == FieldValue::Type::text && answer.type == FieldValue::Type::number;
    match = written                                      ? Match::number
            : reference.type == FieldValue::Type::text   ? Match::text
            : reference.type == FieldValue::Type::number ? Match::number
                                                         : Match::exact;
  }
  switch (match) {
    case Match::ignore:
      return true;
    case Match::number: {
      const auto a = number_of(answer), b = number_of(reference);
      return a && b ? near(*a, *b, rule) : folded(answer.text) == folded(reference.text);
    }
    case Match::date: {
      const std::set<std::string> a = dates_in(answer.text), b = dates_in(reference.text);
      if (a.empty() || b.empty()) return folded(answer.text) == folded(reference.text);
      return std::any_of(a.begin(), a.end(), [&](const std::string& day) { return b.count(day) > 0; });
    }
    case Match::anls:
      return anls(answer.text, {reference.text}) >= 0.5;
    case Match::text:
      return folded(answer.text) == folded(reference.text);
    default:
      if (answer.type == FieldValue::Type::number && reference.type == FieldValue::Type::text)
        return number_in(reference.text) == answer.number;
      return answer.type == reference.type &&
             (answer.type == FieldValue::Type::number ? answer.number == reference.number
                                                      : answer.text == reference.text);
  }
}

}  // namespace mmbatch
