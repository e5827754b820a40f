#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "jobs/item/item_parser.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& name, const char* problem) {
  throw ItemError(ErrorCode::invalid_value, fmt::format("generation setting '{}' {}", name, problem));
}

std::int64_t integer_of(const std::string& name, const Json& json) {
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
    refuse(name, "is too large a number");
  }
  return json.get<std::int64_t>();
}

GenerationValue list_of(const std::string& name, const Json& json) {
  std::vector<std::string> texts;
  std::vector<std::int64_t> integers;
  for (const Json& element : json) {
    if (element.is_string())
      texts.push_back(element.get<std::string>());
    else if (element.is_number_integer())
      integers.push_back(integer_of(name, element));
    else
      refuse(name, "must be a list of strings or of integers");
  }
  if (!texts.empty() && !integers.empty()) refuse(name, "must be a list of one kind of values");
  if (!integers.empty()) return integers;
  return texts;
}

GenerationValue value_of(const std::string& name, const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return integer_of(name, json);
  if (json.is_number_float()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) return list_of(name, json);
  refuse(name, "must be a number, a text, true, false or a list");
}

}  // namespace

GenerationOverrides parse_generation(std::string_view text) {
  const Json json = Json::parse(text);
  if (!json.is_object())
    throw ItemError(ErrorCode::invalid_value, "key 'generation' must be a map of settings");
  GenerationOverrides overrides;
  GenerationConfig scratch;
  for (const auto& [name, value] : json.items()) {
    overrides.emplace_back(name, value_of(name, value));
    try {
      set(scratch, name, overrides.back().second);
    } catch (const std::out_of_range& e) {
      throw ItemError(ErrorCode::unknown_key, e.what());
    } catch (const std::invalid_argument& e) {
      throw ItemError(ErrorCode::invalid_value, e.what());
    }
  }
  return overrides;
}

}  // namespace mmbatch
