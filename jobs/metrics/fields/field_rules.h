#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mmbatch {

/// How a field of an answer is compared with the reference's.
struct FieldRule {
  /// automatic: by the schema or the reference: texts as `text`, numbers by value, the rest as `exact`.
  enum class Match { automatic, exact, text, number, date, anls, ignore };
  Match match = Match::automatic;
  double tolerance = 0;  // of numbers
  enum class Tolerance { absolute, relative };
  Tolerance kind = Tolerance::absolute;
  /// How the elements of a list meet those of the reference's: whichever fit best (texts and numbers as a set
  /// whose elements may repeat), in their order, or objects by the value of a key.
  enum class Align { best, order, key };
  Align align = Align::best;
  std::string key;
};

/// Rules by the paths of fields, keys joined by dots; the elements of a list have its path: `items.price`.
using FieldRules = std::map<std::string, FieldRule, std::less<>>;

/// A rule as it is written:
///
///   rule = "exact" | "text" (letters' case and the number of spaces do not count) | "date" | "anls" |
///   "ignore"
///        | "number" [":" tolerance ["%"]]  |  "set" | "order" | "key:" name
///
/// @throws UsageError that begins with `owner`
FieldRule parse_field_rule(std::string_view text, const std::string& owner);

/// Rules as JSON, {path: rule}, and back; of what is none, no rules.
std::string field_rules_json(const std::map<std::string, std::string>& written);
FieldRules field_rules_of(std::string_view json);

}  // namespace mmbatch
