#include "jobs/metrics/fields/field_rules.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "jobs/metrics/fields/parsed_json.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

constexpr const char* kAllowed =
    "must be exact, text, number, number:0.01, number:1%, date, anls or ignore; of a list set, order or "
    "key:NAME";

/// "0.01" or "1%".
bool read_tolerance(std::string_view text, FieldRule& rule) {
  if (!text.empty() && text.back() == '%') {
    rule.kind = FieldRule::Tolerance::relative;
    text.remove_suffix(1);
  }
  const std::string copy(text);
  char* end = nullptr;
  rule.tolerance = std::strtod(copy.c_str(), &end);
  if (rule.kind == FieldRule::Tolerance::relative) rule.tolerance /= 100;
  return !copy.empty() && end == copy.c_str() + copy.size() && std::isfinite(rule.tolerance) &&
         rule.tolerance >= 0;
}

}  // namespace

FieldRule parse_field_rule(std::string_view text, const std::string& owner) {
  using Match = FieldRule::Match;
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  FieldRule rule;
  bool known = rest.empty();
  if (name == "exact") {
    rule.match = Match::exact;
  } else if (name == "text") {
    rule.match = Match::text;
  } else if (name == "date") {
    rule.match = Match::date;
  } else if (name == "anls") {
    rule.match = Match::anls;
  } else if (name == "ignore") {
    rule.match = Match::ignore;
  } else if (name == "number") {
    rule.match = Match::number;
    known = colon == std::string_view::npos || read_tolerance(rest, rule);
  } else if (name == "set") {
    rule.align = FieldRule::Align::best;
  } else if (name == "order") {
    rule.align = FieldRule::Align::order;
  } else if (name == "key") {
    rule.align = FieldRule::Align::key;
    rule.key = rest;
    known = !rest.empty();
  } else {
    known = false;
  }
  if (!known) throw UsageError(fmt::format("{}: '{}' {}", owner, text.substr(0, 80), kAllowed));
  return rule;
}

std::string field_rules_json(const std::map<std::string, std::string>& written) {
  std::string out;
  for (const auto& [path, rule] : written)
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", json_string(path), json_string(rule));
  return "{" + out + "}";
}

FieldRules field_rules_of(std::string_view json) {
  FieldRules rules;
  const auto parsed = parsed_json(json);
  if (!parsed.is_object()) return rules;
  for (const auto& [path, rule] : parsed.items()) {
    if (rule.is_string()) rules[path] = parse_field_rule(rule.get<std::string>(), path);
  }
  return rules;
}

}  // namespace mmbatch
