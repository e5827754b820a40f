#include "text/constraint/schema/document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "text/constraint/automaton/string_rule.h"
#include "text/constraint/regex/formats.h"
#include "text/constraint/regex/regex.h"
#include "text/constraint/schema/decimal.h"
#include "text/constraint/schema/keywords.h"

namespace mmbatch {
namespace {

using JsonKind = JsonValue::Kind;

constexpr const char* kNotASize = "expected a whole number that is not negative";

/// Part of a JSON pointer.
std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

std::string unescaped(std::string_view part) {
  std::string bytes;
  for (std::size_t i = 0; i < part.size(); ++i) {
    unsigned value = 0;
    if (part[i] == '%' && i + 2 < part.size() &&
        std::from_chars(part.data() + i + 1, part.data() + i + 3, value, 16).ptr == part.data() + i + 3) {
      bytes += static_cast<char>(value);
      i += 2;
    } else {
      bytes += part[i];
    }
  }
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool tilde =
        bytes[i] == '~' && i + 1 < bytes.size() && (bytes[i + 1] == '0' || bytes[i + 1] == '1');
    out += tilde ? (bytes[++i] == '0' ? '~' : '/') : bytes[i];
  }
  return out;
}

bool is_schema(const JsonValue& value) {
  return value.kind == JsonKind::object || value.kind == JsonKind::boolean;
}

json_type::Set type_named(std::string_view name) {
  using namespace json_type;
  static constexpr std::pair<std::string_view, Set> kNames[] = {
      {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber},
      {"string", kString}, {"array", kArray},     {"object", kObject}};
  for (const auto& [known, bits] : kNames) {
    if (known == name) return bits;
  }
  return 0;
}

bool is_number_format(std::string_view format) {
  return format == "int32" || format == "int64" || format == "float" || format == "double";
}

}  // namespace

json_type::Set named_types(const JsonValue& schema) {
  const JsonValue* type = schema.find("type");
  if (type == nullptr) return json_type::kAll;
  json_type::Set types = type_named(type->text);
  for (const JsonValue& name : type->items) types |= type_named(name.text);
  const JsonValue* nullable = schema.find("nullable");
  return nullable != nullptr && nullable->truth ? types | json_type::kNull : types;
}

json_type::Set type_of(const JsonValue& value) {
  switch (value.kind) {
    case JsonKind::null:
      return json_type::kNull;
    case JsonKind::boolean:
      return json_type::kBoolean;
    case JsonKind::number:
      return Decimal::parse(value.text).whole() ? json_type::kInteger : json_type::kFraction;
    case JsonKind::string:
      return json_type::kString;
    case JsonKind::array:
      return json_type::kArray;
    case JsonKind::object:
      return json_type::kObject;
  }
  return 0;
}

std::uint32_t size_of(const JsonValue& schema, const char* keyword, std::uint32_t otherwise) {
  const JsonValue* value = schema.find(keyword);
  if (value == nullptr || value->kind != JsonKind::number) return otherwise;
  const auto size = Decimal::parse(value->text).integer();
  return size && *size < StringRule::kNoLimit ? static_cast<std::uint32_t>(*size) : StringRule::kNoLimit;
}

SchemaDocument::SchemaDocument(const JsonValue& schema, Work& work) : root_(schema), work_(work) {
  if (!is_schema(schema)) {
    throw ConstraintError(ConstraintProblem{"", "", "a schema is an object, or true or false"});
  }
  if (const JsonValue* version = schema.find("$schema")) {
    const std::string& name = version->text;
    const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
    old_draft_ = has("draft-04") || has("draft-06") || has("draft-07") || has("draft-03");
    if (!old_draft_ && !has("2019-09") && !has("2020-12"))
      warnings_.push_back(fmt::format("/$schema: '{}' is not known; read as draft 2020-12", name));
  }
  visit(schema, "", 0);
  // What $ref names is looked at afterwards, so that neither long chains nor the order of $defs count as
  // depth.
  for (; !referred_.empty(); referred_.pop_front())
    visit(*referred_.front().first, referred_.front().second, 0);
  if (!problems_.empty()) throw ConstraintError(problems_);
}

std::string SchemaDocument::pointer(const JsonValue& subschema) const {
  const auto found = pointers_.find(&subschema);
  return found == pointers_.end() ? "" : found->second;
}

void SchemaDocument::refuse(const std::string& pointer, const std::string& keyword,
                            const std::string& reason) {
  constexpr std::size_t kMaxProblems = 100;
  problems_.push_back({pointer, keyword, reason});
  if (problems_.size() >= kMaxProblems) throw ConstraintError(problems_);
}

void SchemaDocument::visit(const JsonValue& schema, const std::string& pointer, std::size_t depth) {
  if (!is_schema(schema)) {
    problems_.push_back({pointer, "", "expected a schema: an object, or true or false"});
    return;
  }
  if (!pointers_.emplace(&schema, pointer).second) return;
  if (pointers_.size() > kMaxSubschemas)
    throw ConstraintTooLarge(fmt::format("it has more than {} subschemas", kMaxSubschemas));
  if (depth > kMaxDepth)
    throw ConstraintTooLarge(fmt::format("subschemas nested more than {} deep", kMaxDepth));
  const JsonValue* ref = schema.find("$ref");
  if (ref != nullptr && old_draft_) {
    for (const auto& [keyword, value] : schema.members) {
      if (keyword_use(keyword) == KeywordUse::enforced && keyword != "$ref" && keyword != "definitions")
        warnings_.push_back(fmt::format("{}/{}: beside $ref, this draft ignores it", pointer, keyword));
    }
    resolve(schema, *ref, pointer);
    return;
  }
  for (const auto& [keyword, value] : schema.members) visit_keyword(schema, keyword, value, pointer, depth);
  check_emptiness(schema, pointer);
}

void SchemaDocument::visit_map(const JsonValue& map, const std::string& pointer, std::size_t depth) {
  if (map.kind != JsonKind::object) {
    problems_.push_back({pointer, "", "expected an object of schemas"});
    return;
  }
  for (const auto& [name, schema] : map.members) visit(schema, pointer + "/" + escaped(name), depth + 1);
}

void SchemaDocument::visit_list(const JsonValue& list, const std::string& pointer, std::size_t depth) {
  if (list.kind != JsonKind::array) {
    problems_.push_back({pointer, "", "expected a list of schemas"});
    return;
  }
  for (std::size_t i = 0; i < list.items.size(); ++i)
    visit(list.items[i], fmt::format("{}/{}", pointer, i), depth + 1);
}

void SchemaDocument::visit_keyword(const JsonValue& schema, const std::string& keyword,
                                   const JsonValue& value, const std::string& pointer, std::size_t depth) {
  const std::string inside = pointer + "/" + escaped(keyword);
  const auto expect = [&](bool right, const char* what) {
    if (!right) refuse(pointer, keyword, what);
    return right;
  };
  switch (keyword_use(keyword)) {
    case KeywordUse::annotation:
      return;
    case KeywordUse::refused:
      // What they say when they say nothing.
      if (keyword == "uniqueItems" && value.kind == JsonKind::boolean && !value.truth) return;
      if (keyword.starts_with("unevaluated") && value.kind == JsonKind::boolean && value.truth) return;
      return refuse(pointer, keyword, refusal(keyword));
    case KeywordUse::unknown:
      return check_unknown(keyword, pointer);
    case KeywordUse::enforced:
      break;
  }
  if (keyword == "$ref") return resolve(schema, value, pointer);
  if (keyword == "type") return check_type(value, pointer);
  if (keyword == "format") return check_format(value, pointer);
  if (keyword == "multipleOf") return check_multiple(schema, value, pointer);
  if (keyword == "enum") {
    expect(value.kind == JsonKind::array, "expected a list of values") &&
        expect(!value.items.empty(), "an empty list: no value can match it");
  } else if (keyword == "properties" || keyword == "$defs" || keyword == "definitions") {
    visit_map(value, inside, depth);
  } else if (keyword == "patternProperties") {
    visit_map(value, inside, depth);
    for (const auto& [pattern, unused] : value.members) check_pattern(pattern, pointer, keyword);
  } else if (keyword == "prefixItems" || keyword == "anyOf" || keyword == "oneOf" || keyword == "allOf") {
    visit_list(value, inside, depth);
    if (value.kind == JsonKind::array && value.items.empty() && keyword != "prefixItems")
      refuse(pointer, keyword, "an empty list");
  } else if (keyword == "items" && value.kind == JsonKind::array) {
    visit_list(value, inside, depth);
  } else if (keyword == "items" || keyword == "additionalItems" || keyword == "additionalProperties") {
    visit(value, inside, depth + 1);
  } else if (keyword == "required") {
    const bool names = value.kind == JsonKind::array &&
                       std::all_of(value.items.begin(), value.items.end(),
                                   [](const JsonValue& name) { return name.kind == JsonKind::string; });
    // Draft 3 wrote it as a flag of the property.
    expect(names, "expected a list of keys");
  } else if (keyword == "pattern") {
    if (expect(value.kind == JsonKind::string, "expected a text"))
      check_pattern(value.text, pointer, keyword);
  } else if (keyword.starts_with("min") || keyword.starts_with("max")) {
    const bool number = expect(value.kind == JsonKind::number, "expected a number");
    if (number && keyword != "minimum" && keyword != "maximum") {
      const Decimal size = Decimal::parse(value.text);
      expect(size.whole() && !size.negative, kNotASize);
    }
  } else if (keyword == "exclusiveMinimum" || keyword == "exclusiveMaximum") {
    expect(value.kind == JsonKind::number || value.kind == JsonKind::boolean, "expected a number");
  } else if (keyword == "nullable") {
    expect(value.kind == JsonKind::boolean, "expected true or false");
  }
}

void SchemaDocument::check_unknown(const std::string& keyword, const std::string& pointer) {
  if (const auto meant = meant_keyword(keyword))
    refuse(pointer, keyword, fmt::format("unknown: is it {}?", *meant));
  else
    warnings_.push_back(fmt::format("{}/{}: unknown, without effect", pointer, keyword));
}

void SchemaDocument::check_type(const JsonValue& value, const std::string& pointer) {
  const auto known = [&](const JsonValue& name) {
    return name.kind == JsonKind::string && type_named(name.text) != 0;
  };
  const bool list = value.kind == JsonKind::array && !value.items.empty() &&
                    std::all_of(value.items.begin(), value.items.end(), known);
  if (!list && !known(value)) {
    refuse(pointer, "type",
           "expected one or a list of: null, boolean, integer, number, string, array, object");
  }
}

void SchemaDocument::check_format(const JsonValue& value, const std::string& pointer) {
  if (is_number_format(value.text) || formats_.contains(value.text)) return;
  const auto pattern = format_pattern(value.text);
  if (!pattern) {
    return refuse(
        pointer, "format",
        fmt::format("'{}' is not supported; these are: {}, int32, int64, float, double. Write a pattern "
                    "instead",
                    value.text, fmt::join(string_formats(), ", ")));
  }
  formats_[value.text] = std::make_shared<const Dfa>(compile_regex(*pattern, RegexMatch::whole, work_));
}

void SchemaDocument::check_pattern(const std::string& pattern, const std::string& pointer,
                                   const std::string& keyword) {
  if (patterns_.contains(pattern)) return;
  try {
    Dfa dfa = compile_regex(pattern, RegexMatch::search, work_);
    if (dfa.empty()) return refuse(pointer, keyword, fmt::format("'{}': no text can match it", pattern));
    patterns_[pattern] = std::make_shared<const Dfa>(std::move(dfa));
  } catch (const RegexError& e) {
    refuse(pointer, keyword, fmt::format("'{}': {}", pattern, e.what()));
  } catch (const ConstraintTooLarge& e) {
    refuse(pointer, keyword, fmt::format("'{}': {}", pattern, e.what()));
  }
}

void SchemaDocument::check_multiple(const JsonValue& schema, const JsonValue& value,
                                    const std::string& pointer) {
  constexpr const char* kSupported =
      "supported are 0.1, 0.01 … 0.000000001 and 1 on numbers, and whole numbers from 1 to 1000 on integers";
  const Decimal step = value.kind == JsonKind::number ? Decimal::parse(value.text) : Decimal{};
  const bool power = step.digits == "1" && step.point <= 1 && step.point >= -8;
  const auto whole = step.integer();
  const bool right = !step.negative && !step.zero() && (power || (whole && *whole <= 1000));
  if (!right) return refuse(pointer, "multipleOf", kSupported);
  const bool fractions = (named_types(schema) & json_type::kFraction) != 0;
  if (!power && fractions && schema.find("type") != nullptr) refuse(pointer, "multipleOf", kSupported);
}

void SchemaDocument::check_emptiness(const JsonValue& schema, const std::string& pointer) {
  const auto both = [&](const char* low, const char* high) {
    const JsonValue *least = schema.find(low), *most = schema.find(high);
    if (least == nullptr || most == nullptr || least->kind != JsonKind::number ||
        most->kind != JsonKind::number)
      return;
    if (Decimal::parse(least->text) > Decimal::parse(most->text))
      refuse(pointer, low, fmt::format("above {}: no value can match it", high));
  };
  both("minimum", "maximum");
  both("minLength", "maxLength");
  both("minItems", "maxItems");
  both("minProperties", "maxProperties");
  const JsonValue* list = schema.find("enum");
  if (list != nullptr && !list->items.empty() &&
      std::none_of(list->items.begin(), list->items.end(),
                   [&](const JsonValue& value) { return (type_of(value) & named_types(schema)) != 0; }))
    refuse(pointer, "enum", "no value has a type that `type` allows: no value can match it");
}

/// A JSON pointer into the same document.
void SchemaDocument::resolve(const JsonValue& schema, const JsonValue& value, const std::string& pointer) {
  const std::string& ref = value.text;
  if (value.kind != JsonKind::string || !ref.starts_with("#") || (ref.size() > 1 && ref[1] != '/')) {
    return refuse(pointer, "$ref",
                  fmt::format("'{}': only # and JSON pointers into the same schema are supported, such as "
                              "#/$defs/name",
                              ref));
  }
  const JsonValue* target = &root_;
  std::string place;
  for (std::size_t at = 1; at < ref.size() && target != nullptr;) {
    const std::size_t end = std::min(ref.find('/', at + 1), ref.size());
    const std::string part = unescaped(std::string_view(ref).substr(at + 1, end - at - 1));
    at = end;
    place += "/" + escaped(part);
    if (target->kind == JsonKind::array) {
      std::size_t index = 0;
      const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool whole = error == std::errc() && last == part.data() + part.size();
      target = whole && index < target->items.size() ? &target->items[index] : nullptr;
    } else {
      target = target->find(part);
    }
  }
  if (target == nullptr || !is_schema(*target))
    return refuse(pointer, "$ref", fmt::format("'{}': there is no schema at this place", ref));
  targets_[&schema] = target;
  if (!pointers_.contains(target)) referred_.emplace_back(target, std::move(place));
}

}  // namespace mmbatch
