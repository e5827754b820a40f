#include "text/constraint/schema/branches/constant_marks.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "text/constraint/schema/decimal.h"

namespace mmbatch {
namespace {

/// The same for equal values; none for lists and objects.
std::optional<std::string> mark_of(const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::string:
      return '"' + value.text;
    case JsonValue::Kind::number:
      return Decimal::parse(value.text).text();
    case JsonValue::Kind::boolean:
      return value.truth ? "true" : "false";
    case JsonValue::Kind::null:
      return "null";
    default:
      return std::nullopt;
  }
}

/// Adds the constants of a branch; false where it has none, a list or an object, or one that is there.
bool add(const SchemaDocument& document, const SchemaParts& flat, Work& work, std::set<std::string>& marks) {
  if (first_branches(flat)) return false;
  const auto values = constants(document, flat, work);
  return values && std::all_of(values->begin(), values->end(), [&](const JsonValue* value) {
           work.spend(value->text.size() + 20);
           const auto mark = mark_of(*value);
           return mark && marks.insert(*mark).second;
         });
}

bool requires_key(const SchemaParts& flat, const std::string& key) {
  return std::any_of(flat.begin(), flat.end(), [&](const SchemaPart& part) {
    const JsonValue* list = part.schema->find("required");
    return list != nullptr && std::any_of(list->items.begin(), list->items.end(),
                                          [&](const JsonValue& one) { return one.text == key; });
  });
}

/// What an object's parts say of a key's value.
SchemaParts value_of(const SchemaParts& flat, const std::string& key) {
  SchemaParts out;
  for (const SchemaPart& part : flat) {
    const JsonValue* properties = part.schema->find("properties");
    if (const JsonValue* value = properties != nullptr ? properties->find(key) : nullptr)
      out.push_back({value, SchemaPart::Kind::full});
  }
  return out;
}

std::set<std::string> required_keys(const SchemaParts& flat) {
  std::set<std::string> keys;
  for (const SchemaPart& part : flat) {
    if (const JsonValue* list = part.schema->find("required")) {
      for (const JsonValue& key : list->items) keys.insert(key.text);
    }
  }
  return keys;
}

}  // namespace

bool told_apart_by_constants(const SchemaDocument& document, const std::vector<SchemaParts>& branches,
                             Work& work) {
  std::vector<SchemaParts> flat;
  for (const SchemaParts& branch : branches) {
    flat.push_back(flatten(document, branch, work));
    work.spend(flat.back().size() + 100);
  }
  std::set<std::string> marks;
  if (std::all_of(flat.begin(), flat.end(),
                  [&](const SchemaParts& one) { return add(document, one, work, marks); }))
    return true;
  const auto is_object = [&](const SchemaParts& one) {
    return !first_branches(one) && allowed_types(one) == json_type::kObject;
  };
  if (flat.empty() || !std::all_of(flat.begin(), flat.end(), is_object)) return false;
  const std::set<std::string> keys = required_keys(flat.front());
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    marks.clear();
    return std::all_of(flat.begin(), flat.end(), [&](const SchemaParts& one) {
      if (!requires_key(one, key)) return false;
      const SchemaParts value = flatten(document, value_of(one, key), work);
      return !value.empty() && add(document, value, work, marks);
    });
  });
}

}  // namespace mmbatch
