#include "text/constraint/schema/keywords.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/text/edit_distance.h"

namespace mmbatch {
namespace {

constexpr std::array kEnforced = {"type",
                                  "enum",
                                  "const",
                                  "properties",
                                  "required",
                                  "additionalProperties",
                                  "items",
                                  "minItems",
                                  "maxItems",
                                  "patternProperties",
                                  "minProperties",
                                  "maxProperties",
                                  "pattern",
                                  "format",
                                  "minLength",
                                  "maxLength",
                                  "prefixItems",
                                  "additionalItems",
                                  "minimum",
                                  "maximum",
                                  "multipleOf",
                                  "exclusiveMinimum",
                                  "exclusiveMaximum",
                                  "anyOf",
                                  "oneOf",
                                  "allOf",
                                  "$ref",
                                  "$defs",
                                  "definitions",
                                  "nullable"};

constexpr std::array kAnnotations = {
    "$schema",       "$id",          "id",          "$comment",        "title",
    "description",   "default",      "examples",    "example",         "readOnly",
    "deprecated",    "writeOnly",    "$vocabulary", "contentEncoding", "contentMediaType",
    "contentSchema", "discriminator"};

const std::pair<const char*, const char*> kRefused[] = {
    {"not", "not supported (it says what may not be written; list what may: enum, or a pattern)"},
    {"if", "not supported (write the cases as anyOf)"},
    {"then", "not supported (write the cases as anyOf)"},
    {"else", "not supported (write the cases as anyOf)"},
    {"contains",
     "not supported (a list with certain items cannot be enforced while it is written; describe "
     "every item with items, or the first ones with prefixItems)"},
    {"minContains", "not supported (it counts what contains finds)"},
    {"maxContains", "not supported (it counts what contains finds)"},
    {"uniqueItems", "not supported (a list with different items cannot be enforced while it is written)"},
    {"dependentRequired", "not supported (write the cases as anyOf)"},
    {"dependentSchemas", "not supported (write the cases as anyOf)"},
    {"dependencies", "not supported (write the cases as anyOf)"},
    {"propertyNames", "not supported (write patternProperties, and additionalProperties: false)"},
    {"unevaluatedProperties", "not supported (write additionalProperties: false)"},
    {"unevaluatedItems", "not supported (write items: false behind prefixItems)"},
    {"$anchor", "not supported (refer to the definition with a JSON pointer, such as #/$defs/name)"},
    {"$dynamicRef", "not supported (refer to the definition with $ref)"},
    {"$dynamicAnchor", "not supported (refer to the definition with $ref)"},
    {"$recursiveRef", "not supported (write $ref: \"#\")"},
    {"$recursiveAnchor", "not supported (write $ref: \"#\")"}};

template <class List>
bool contains(const List& list, std::string_view keyword) {
  return std::find(list.begin(), list.end(), keyword) != list.end();
}

}  // namespace

KeywordUse keyword_use(std::string_view keyword) {
  if (contains(kEnforced, keyword)) return KeywordUse::enforced;
  if (contains(kAnnotations, keyword)) return KeywordUse::annotation;
  for (const auto& [name, reason] : kRefused) {
    if (keyword == name) return KeywordUse::refused;
  }
  return keyword.starts_with("x-") || keyword.starts_with("_") ? KeywordUse::annotation : KeywordUse::unknown;
}

std::string refusal(std::string_view keyword) {
  for (const auto& [name, reason] : kRefused) {
    if (keyword == name) return reason;
  }
  return "not supported";
}

std::optional<std::string> meant_keyword(std::string_view unknown) {
  const auto near = [&](std::string_view known) {
    const std::size_t allowed = known.size() >= 8 ? 2 : known.size() >= 5 ? 1 : 0;
    // Long unknown words are far from all of them, and not worth a comparison.
    return allowed > 0 && unknown.size() <= known.size() + allowed &&
           edit_distance(unknown, known) <= allowed;
  };
  for (const char* known : kEnforced) {
    if (near(known)) return known;
  }
  for (const char* known : kAnnotations) {
    if (near(known)) return known;
  }
  for (const auto& [name, reason] : kRefused) {
    if (near(name)) return name;
  }
  return std::nullopt;
}

}  // namespace mmbatch
