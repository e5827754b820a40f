#include "pipeline/commands/options/values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "engine/base/generation_config.h"

namespace mmbatch {
namespace {

template <class Number>
std::optional<Number> read_number(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

std::string range_text(std::int64_t least, std::int64_t most) {
  return most == std::numeric_limits<std::int64_t>::max() ? fmt::format("of at least {}", least)
                                                          : fmt::format("from {} to {}", least, most);
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const auto check = [=](std::string& text) {
    const auto number = read_number<std::int64_t>(text);
    if (number && *number >= least && *number <= most) return std::string();
    return fmt::format("'{}' is not a whole number {}", text, range_text(least, most));
  };
  return {check, ""};
}

CLI::Validator number(double least, double most) {
  const auto check = [=](std::string& text) {
    const auto number = read_number<double>(text);
    if (number && *number >= least && *number <= most) return std::string();  // nan is neither
    return fmt::format("'{}' is not a number from {} to {}", text, least, most);
  };
  return {check, ""};
}

CLI::Validator byte_size() {
  static const std::map<std::string, double> units = {{"", 1},         {"K", 0x1p10},   {"KIB", 0x1p10},
                                                      {"M", 0x1p20},   {"MIB", 0x1p20}, {"G", 0x1p30},
                                                      {"GIB", 0x1p30}, {"T", 0x1p40},   {"TIB", 0x1p40}};
  const auto transform = [](std::string& text) {
    const std::size_t end = text.find_first_not_of("0123456789.");
    const auto number = read_number<double>(text.substr(0, end));
    std::string unit = end == std::string::npos ? "" : text.substr(end);
    std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::toupper(c); });
    const auto found = units.find(unit);
    const double bytes = number && found != units.end() ? *number * found->second : 0;
    if (!(bytes >= 1 && bytes < 0x1p62))
      return fmt::format("'{}' is not a size above 0; write it as 512M or 2G", text);
    text = std::to_string(static_cast<std::uint64_t>(bytes));
    return std::string();
  };
  return {transform, ""};
}

CLI::Validator one_of(std::vector<std::string> names) {
  const auto check = [names = std::move(names)](std::string& text) {
    if (std::find(names.begin(), names.end(), text) != names.end()) return std::string();
    const std::string nearest = nearest_name(text, names);
    return fmt::format("'{}' is not one of {}{}", text, fmt::join(names, ", "),
                       nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
  };
  return {check, ""};
}

CLI::Validator not_empty() {
  const auto check = [](std::string& text) {
    return text.empty() ? std::string("must not be empty; leave the option out") : std::string();
  };
  return {check, ""};
}

CLI::Option* add_named_values(CLI::App& command, const OptionText& text,
                              const std::vector<std::string>& names, std::size_t current,
                              std::function<void(std::size_t)> take) {
  const auto find = [names, take = std::move(take)](const std::string& name) {
    take(static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin()));
  };
  CLI::Option* option = command
                            .add_option_function<std::string>(
                                text.name, find, fmt::format("{}: {}", text.help, fmt::join(names, ", ")))
                            ->check(one_of(names))
                            ->type_name("NAME");
  if (current < names.size()) option->default_str(names[current]);
  return option;
}

}  // namespace mmbatch
