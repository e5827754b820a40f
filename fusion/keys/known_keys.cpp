#include "fusion/keys/known_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace mmbatch {
namespace {

bool contains(const std::vector<std::string_view>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Parts of names of keys that change what a model computes.
bool changes_results(std::string_view key) {
  static constexpr std::string_view kParts[] = {
      "rope",   "rotary", "scaling", "scale",  "norm",  "softcap",  "window",   "multiplier", "quant", "bias",
      "expert", "moe",    "penalty", "cutoff", "force", "suppress", "clip_qkv", "alibi",      "causal"};
  return std::any_of(std::begin(kParts), std::end(kParts),
                     [&](std::string_view part) { return key.find(part) != std::string_view::npos; });
}

/// null, false, "", [] and {}: what writers put for "not used".
bool says_nothing(const Config& value) {
  if (value.is_flag()) return !value.as_flag();
  const std::string json = value.dump();
  return json == "null" || json == "\"\"" || json == "[]" || json == "{}";
}

bool equals(const Config& value, std::string_view json) {
  const Config wanted = Config::parse(json, "table");
  if (value.is_number() && wanted.is_number()) return value.as_number() == wanted.as_number();
  return value.dump() == wanted.dump();
}

void check_value(const Config& config, const std::string& key, const KnownKeys::OnlyAt& only) {
  const Config value = config.child(key);
  for (const std::string_view json : only.values) {
    if (equals(value, json)) return;
  }
  config.fail(key, fmt::format("{} is not supported; supported is {}", value.dump().substr(0, 80),
                               fmt::join(only.values, " or ")));
}

}  // namespace

std::vector<std::string> check_keys(const Config& config, const KnownKeys& known) {
  std::vector<std::string> messages;
  for (const auto& [key, value] : config.members()) {
    const auto named = [&key = key](const auto& entry) {
      if constexpr (requires { entry.key; })
        return entry.key == key;
      else
        return contains(entry.keys, key);
    };
    const auto only = std::find_if(known.only_at.begin(), known.only_at.end(), named);
    if (only != known.only_at.end()) {
      if (config.has(key)) check_value(config, key, *only);
      continue;
    }
    if (contains(known.honoured, key)) continue;
    if (std::any_of(known.without_effect.begin(), known.without_effect.end(), named)) continue;
    if (says_nothing(value)) continue;
    if (changes_results(key)) config.fail(key, "not supported, and by its name it changes results");
    messages.push_back(value.where("") + ": not known, and without effect here");
  }
  return messages;
}

}  // namespace mmbatch
