#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmbatch {

/// A JSON value as it was written: keys in their order, numbers as text.
struct JsonValue {
  enum class Kind { null, boolean, number, string, array, object };

  JsonValue();

  Kind kind = Kind::null;
  bool truth = false;
  std::string text;  // of a string; of a number as it was written
  std::vector<JsonValue> items;
  std::vector<std::pair<std::string, JsonValue>> members;

  const JsonValue* find(std::string_view key) const {
    for (const auto& [name, value] : members) {
      if (name == key) return &value;
    }
    return nullptr;
  }
};

// Behind the class: a pair of it asks whether it can be made, which clang 14 finds out by looking into the pair.
inline JsonValue::JsonValue() = default;

/// @throws ConstraintError for a text that is not JSON, a duplicate key, more than `max_depth`
/// values within each other, or more than `max_bytes`
struct JsonLimits {
  std::size_t max_bytes = 1u << 20;
  std::size_t max_depth = 64;
};
JsonValue parse_json_value(std::string_view text, const JsonLimits& limits = {});

/// Equal as JSON Schema takes it: numbers by value, objects in any order.
bool same_json(const JsonValue& a, const JsonValue& b);

}  // namespace mmbatch
