#include "text/constraint/schema/validator.h"

#include <algorithm>

#include "text/constraint/automaton/string_rule.h"
#include "text/constraint/schema/decimal.h"

namespace mmbatch {
namespace {

using JsonKind = JsonValue::Kind;

constexpr int kMaxDepth = 1000;           // of subschemas within each other, while one value is looked at
constexpr std::size_t kStepsOfOne = 100;  // of one value and one subschema, as long as their lists are short

/// What comparing a value with another one takes.
std::size_t breadth(const JsonValue& value) {
  return 1 + value.items.size() + value.members.size() * value.members.size();
}

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_multiple(const Decimal& value, const Decimal& step) {
  if (step.digits == "1")
    return static_cast<std::int64_t>(value.digits.size()) - value.point <= 1 - step.point;
  if (!value.whole()) return false;
  const std::int64_t divisor = step.integer().value_or(1);
  std::int64_t rest = 0;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(value.point, 400); ++i) {
    const auto at = static_cast<std::size_t>(i);
    rest = (rest * 10 + (at < value.digits.size() ? value.digits[at] - '0' : 0)) % divisor;
  }
  return rest == 0;
}

}  // namespace

bool SchemaValidator::fits_own_keywords(const JsonValue& value, const JsonValue& schema) {
  return schema.kind == JsonKind::boolean ? schema.truth : own(value, schema, 0);
}

bool SchemaValidator::fits_beside_constants(const JsonValue& value, const JsonValue& schema) {
  return beside_constants(value, schema, 0);
}

bool SchemaValidator::valid(const JsonValue& value, const JsonValue& schema, int depth) {
  work_.spend(kStepsOfOne);
  if (depth > kMaxDepth) return false;
  if (schema.kind == JsonKind::boolean) return schema.truth;
  // A subschema that refers to itself without going into the value says nothing: no value is found to fit.
  const auto [place, added] = open_.emplace(&value, &schema);
  if (!added) return false;
  const bool only_ref = schema.find("$ref") != nullptr && !document_.keywords_beside_ref();
  const bool fits = only_ref ? valid(value, *document_.target(schema), depth + 1)
                             : in_combinations(value, schema, depth) && own(value, schema, depth);
  open_.erase(place);
  return fits;
}

/// What a subschema refers to and combines.
bool SchemaValidator::in_combinations(const JsonValue& value, const JsonValue& schema, int depth) {
  if (schema.find("$ref") != nullptr && !valid(value, *document_.target(schema), depth + 1)) return false;
  const auto fits = [&](const JsonValue& branch) { return valid(value, branch, depth + 1); };
  if (const JsonValue* all = schema.find("allOf");
      all && !std::all_of(all->items.begin(), all->items.end(), fits))
    return false;
  if (const JsonValue* any = schema.find("anyOf");
      any && !std::any_of(any->items.begin(), any->items.end(), fits))
    return false;
  if (const JsonValue* one = schema.find("oneOf");
      one && std::count_if(one->items.begin(), one->items.end(), fits) != 1)
    return false;
  return true;
}

bool SchemaValidator::own(const JsonValue& value, const JsonValue& schema, int depth) {
  const JsonValue* nullable = schema.find("nullable");
  if (value.kind == JsonKind::null && nullable != nullptr && nullable->truth) return true;
  const auto same = [&](const JsonValue& other) { return same_json(value, other); };
  if (const JsonValue* list = schema.find("enum")) {
    work_.spend(list->items.size() * breadth(value));
    if (std::none_of(list->items.begin(), list->items.end(), same)) return false;
  }
  if (const JsonValue* constant = schema.find("const"); constant && !same(*constant)) return false;
  return beside_constants(value, schema, depth);
}

bool SchemaValidator::beside_constants(const JsonValue& value, const JsonValue& schema, int depth) {
  work_.spend(value.text.size());
  const JsonValue* nullable = schema.find("nullable");
  if (value.kind == JsonKind::null && nullable != nullptr && nullable->truth) return true;
  if ((type_of(value) & named_types(schema)) == 0) return false;
  switch (value.kind) {
    case JsonKind::number:
      return number(value, schema);
    case JsonKind::string:
      return string(value, schema);
    case JsonKind::array:
      return array(value, schema, depth);
    case JsonKind::object:
      return object(value, schema, depth);
    default:
      return true;
  }
}

bool SchemaValidator::number(const JsonValue& value, const JsonValue& schema) const {
  const Decimal number = Decimal::parse(value.text);
  const auto bound = [&](const char* keyword, const char* exclusive, int sign) {
    const auto far = [&](const JsonValue& limit) {  // how far above (below) the limit: -1, 0, 1
      const auto order = number <=> Decimal::parse(limit.text);
      return (order > 0 ? 1 : order < 0 ? -1 : 0) * sign;
    };
    const JsonValue *limit = schema.find(keyword), *strict = schema.find(exclusive);
    if (limit && far(*limit) < (strict && strict->truth ? 1 : 0)) return false;
    return !(strict && strict->kind == JsonKind::number && far(*strict) < 1);
  };
  if (!bound("minimum", "exclusiveMinimum", 1) || !bound("maximum", "exclusiveMaximum", -1)) return false;
  const JsonValue* step = schema.find("multipleOf");
  if (step && !is_multiple(number, Decimal::parse(step->text))) return false;
  const JsonValue* format = schema.find("format");
  if (format && format->text == "int32" && number.whole())
    return number >= Decimal::parse("-2147483648") && number <= Decimal::parse("2147483647");
  return true;
}

bool SchemaValidator::string(const JsonValue& value, const JsonValue& schema) const {
  const std::size_t length = characters(value.text);
  if (length < size_of(schema, "minLength", 0) || length > size_of(schema, "maxLength", StringRule::kNoLimit))
    return false;
  if (const JsonValue* pattern = schema.find("pattern");
      pattern && !document_.pattern(pattern->text)->matches(value.text))
    return false;
  const JsonValue* format = schema.find("format");
  return !format || format->text.starts_with("int") || format->text == "float" || format->text == "double" ||
         document_.format(format->text)->matches(value.text);
}

bool SchemaValidator::array(const JsonValue& value, const JsonValue& schema, int depth) {
  const std::size_t count = value.items.size();
  if (count < size_of(schema, "minItems", 0) || count > size_of(schema, "maxItems", StringRule::kNoLimit))
    return false;
  const JsonValue *prefix = schema.find("prefixItems"), *rest = schema.find("items");
  if (rest && rest->kind == JsonKind::array) {
    prefix = rest;
    rest = schema.find("additionalItems");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const JsonValue* item = prefix && i < prefix->items.size() ? &prefix->items[i] : rest;
    if (item && !valid(value.items[i], *item, depth + 1)) return false;
  }
  return true;
}

bool SchemaValidator::object(const JsonValue& value, const JsonValue& schema, int depth) {
  const std::size_t count = value.members.size();
  if (count < size_of(schema, "minProperties", 0) ||
      count > size_of(schema, "maxProperties", StringRule::kNoLimit))
    return false;
  const JsonValue* required = schema.find("required");
  if (required && std::any_of(required->items.begin(), required->items.end(),
                              [&](const JsonValue& key) { return value.find(key.text) == nullptr; }))
    return false;
  const JsonValue *properties = schema.find("properties"), *patterns = schema.find("patternProperties");
  const JsonValue* additional = schema.find("additionalProperties");
  work_.spend(count * (1 + (properties ? properties->members.size() : 0)));
  for (const auto& [key, member] : value.members) {
    bool described = false;
    if (const JsonValue* property = properties ? properties->find(key) : nullptr) {
      described = true;
      if (!valid(member, *property, depth + 1)) return false;
    }
    if (patterns) {
      work_.spend(patterns->members.size() * key.size());
      for (const auto& [pattern, subschema] : patterns->members) {
        if (!document_.pattern(pattern)->matches(key)) continue;
        described = true;
        if (!valid(member, subschema, depth + 1)) return false;
      }
    }
    if (!described && additional && !valid(member, *additional, depth + 1)) return false;
  }
  return true;
}

}  // namespace mmbatch
