#include "jobs/metrics/fields/field_paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "engine/base/generation_config.h"
#include "jobs/metrics/fields/parsed_json.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;
constexpr int kMostPathLevels = 16;
constexpr std::size_t kMostPaths = 1000;
constexpr int kMostSteps = 100'000;  // a schema may refer to itself in many places

/// What is left of a path behind a key; nothing where it begins otherwise.
std::optional<std::string_view> behind(std::string_view path, std::string_view key) {
  if (path.substr(0, key.size()) != key) return std::nullopt;
  if (path.size() == key.size()) return path.substr(key.size());
  if (path[key.size()] != '.') return std::nullopt;
  return path.substr(key.size() + 1);
}

bool has_path(const Json& value, std::string_view path) {
  if (path.empty()) return true;
  if (value.is_array())
    return std::any_of(value.begin(), value.end(), [&](const Json& one) { return has_path(one, path); });
  if (!value.is_object()) return false;
  for (const auto& [key, inner] : value.items()) {
    const auto rest = behind(path, key);
    if (rest && has_path(inner, *rest)) return true;
  }
  return false;
}

class SchemaPaths {
 public:
  explicit SchemaPaths(const Json& root) : root_(root) {}

  bool has(const Json& schema, std::string_view path, int level = 0) const {
    if (path.empty() || level > kMostPathLevels || ++steps_ > kMostSteps) return true;
    if (!schema.is_object()) return schema != Json(false);
    const Json* const target = referred(schema);
    if (schema.contains("$ref")) return target == nullptr || has(*target, path, level + 1);
    const auto inner = [&](const Json& one) { return has(one, path, level + 1); };
    if (is_open(schema) || has_property(schema, path, level)) return true;
    for (const char* key : {"anyOf", "oneOf", "allOf", "prefixItems", "enum"}) {
      const bool values = std::string_view(key) == "enum";
      if (schema.contains(key) && schema[key].is_array() &&
          std::any_of(schema[key].begin(), schema[key].end(),
                      [&](const Json& one) { return values ? has_path(one, path) : inner(one); }))
        return true;
    }
    if (schema.contains("const") && has_path(schema["const"], path)) return true;
    return schema.contains("items") && inner(schema["items"]);
  }

  /// All that are declared, as many as are worth a guess.
  std::vector<std::string> all() {
    collect(root_, "", 0);
    return std::move(found_);
  }

 private:
  const Json* referred(const Json& schema) const {
    if (!schema.contains("$ref") || !schema["$ref"].is_string()) return nullptr;
    const std::string pointer = schema["$ref"];
    if (pointer == "#") return &root_;
    if (pointer.rfind("#/", 0) != 0) return nullptr;
    try {
      return &root_.at(Json::json_pointer(pointer.substr(1)));
    } catch (const Json::exception&) {
      return nullptr;
    }
  }

  /// Whether it says nothing of what there may be.
  static bool is_open(const Json& schema) {
    for (const char* key : {"type", "properties", "items", "prefixItems", "anyOf", "oneOf", "allOf", "enum",
                            "const", "additionalProperties"})
      if (schema.contains(key)) return false;
    return true;
  }

  bool has_property(const Json& schema, std::string_view path, int level) const {
    if (schema.contains("patternProperties")) return true;
    if (schema.contains("properties") && schema["properties"].is_object()) {
      for (const auto& [key, value] : schema["properties"].items()) {
        const auto rest = behind(path, key);
        if (rest && has(value, *rest, level + 1)) return true;
      }
    }
    return schema.contains("additionalProperties") && schema["additionalProperties"] != Json(false);
  }

  void collect(const Json& schema, const std::string& path, int level) {
    if (level > kMostPathLevels || found_.size() >= kMostPaths || ++steps_ > kMostSteps ||
        !schema.is_object())
      return;
    if (const Json* const target = referred(schema)) collect(*target, path, level + 1);
    for (const char* key : {"anyOf", "oneOf", "allOf", "prefixItems"}) {
      if (!schema.contains(key) || !schema[key].is_array()) continue;
      for (const Json& one : schema[key]) collect(one, path, level + 1);
    }
    if (schema.contains("items")) collect(schema["items"], path, level + 1);
    if (!schema.contains("properties") || !schema["properties"].is_object()) return;
    for (const auto& [key, value] : schema["properties"].items()) {
      found_.push_back(path.empty() ? key : path + "." + key);
      const std::string below = found_.back();
      collect(value, below, level + 1);
    }
  }

  const Json& root_;
  mutable int steps_ = 0;
  std::vector<std::string> found_;
};

}  // namespace

bool schema_has_path(std::string_view schema, std::string_view path) {
  const Json root = parsed_json(schema);
  return !root.is_object() || SchemaPaths(root).has(root, path);
}

bool value_has_path(std::string_view json, std::string_view path) {
  return has_path(parsed_json(json), path);
}

std::string field_path_fault(std::string_view schema, const std::string& path, std::string_view rule) {
  const Json root = parsed_json(schema);
  if (!root.is_object()) return {};
  SchemaPaths paths(root);
  std::string wanted = path;
  constexpr std::string_view kKey = "key:";
  const bool is_there = paths.has(root, path);
  if (is_there && rule.substr(0, kKey.size()) == kKey) wanted += "." + std::string(rule.substr(kKey.size()));
  if (is_there && paths.has(root, wanted)) return {};
  const std::string nearest = nearest_name(wanted, paths.all());
  return fmt::format("the JSON Schema has no field '{}'{}", wanted.substr(0, 80),
                     nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest));
}

}  // namespace mmbatch
