#include "jobs/item/constraint/constraint_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/base/files/small_file.h"
#include "jobs/text/json_node.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxSchemaBytes = 1u << 20;

[[noreturn]] void fail(const Node::Entry& entry, const std::string& problem) {
  throw PlacedError(ErrorCode::invalid_value, entry.place, problem);
}

std::string read_file(const Node::Entry& entry, const std::filesystem::path& path) {
  const auto read = read_small_file(path, kMaxSchemaBytes);
  if (!read) fail(entry, fmt::format("'{}': {}: {}", entry.key, path.string(), read.error().message));
  const std::string& text = read.value();
  const ParsedJson parsed = parse_json(text);
  if (!parsed.node) {
    fail(entry, fmt::format("'{}': {}:{}:{}: {}", entry.key, path.string(), parsed.fault->place.line,
                            parsed.fault->place.column, parsed.fault->problem));
  }
  return text;
}

std::string schema_text(const Node::Entry& entry, const std::optional<std::filesystem::path>& folder) {
  const Node& value = *entry.value;
  if (value.kind == Node::Kind::text && folder) return read_file(entry, *folder / value.text);
  if (value.kind != Node::Kind::map && value.kind != Node::Kind::boolean)
    ill_typed(entry, folder ? "a JSON Schema or the name of a file with one" : "a JSON Schema");
  try {
    return to_json(value, JsonForm::written, kMaxSchemaBytes);
  } catch (const std::length_error&) {
    ill_typed(entry, "a JSON Schema of at most 1 MiB");
  }
}

/// A text, or a list of them.
GenerationValue choices_of(const Node::Entry& entry) {
  const auto is_text = [](const NodePointer& one) { return one->kind == Node::Kind::text; };
  const Node& value = *entry.value;
  if (value.kind != Node::Kind::text &&
      (value.kind != Node::Kind::list || !std::all_of(value.list.begin(), value.list.end(), is_text)))
    ill_typed(entry, "a text or a list of texts: numbers, true and false stand in quotes there");
  return setting_of(entry);
}

/// One setting, checked at once.
void add(GenerationOverrides& out, const Node::Entry& entry, const std::string& name, GenerationValue value) {
  GenerationConfig checked;
  try {
    set(checked, name, value);
  } catch (const GenerationError& e) {
    fail(entry, e.message({{name, entry.key}}));
  }
  out.emplace_back(name, std::move(value));
}

}  // namespace

const std::vector<std::string>& constraint_keys() {
  static const std::vector<std::string> keys = {"response_format", "regex",      "grammar",
                                                "choices",         "whitespace", "on_length"};
  return keys;
}

GenerationOverrides read_response_format(const Node::Entry& entry,
                                         const std::optional<std::filesystem::path>& folder) {
  const Node& format = *entry.value;
  if (format.kind != Node::Kind::map) ill_typed(entry, "a map {type: text | json_object | json_schema, …}");
  check_keys(format, {"type", "json_schema", "name", "description", "schema", "strict"}, "response_format");
  const Node::Entry* const type = format.get("type");
  const std::string kind = type != nullptr && type->value->is_scalar() ? type->value->text : "";
  GenerationOverrides out;
  if (kind == "text" || kind == "json_object") {
    if (format.map.size() > 1) fail(entry, fmt::format("'{}': {} takes no further keys", entry.key, kind));
    add(out, entry, "response_format", kind);
    return out;
  }
  if (kind != "json_schema") {
    fail(type != nullptr ? *type : entry,
         fmt::format("'{}': type must be text, json_object or json_schema", entry.key));
  }
  // The schema stands in `json_schema`, or, in OpenAI's responses, beside the type.
  const Node::Entry* const wrapper = format.get("json_schema");
  if (wrapper != nullptr && wrapper->value->kind != Node::Kind::map)
    ill_typed(*wrapper, "a map {name, schema}");
  const Node& holder = wrapper != nullptr ? *wrapper->value : format;
  if (wrapper != nullptr)
    check_keys(holder, {"name", "description", "schema", "strict"}, "json_schema of response_format");
  const Node::Entry* const schema = holder.get("schema");
  if (schema == nullptr) fail(entry, fmt::format("'{}': json_schema without its 'schema'", entry.key));
  const Node::Entry* const strict = holder.get("strict");
  if (strict != nullptr && strict->value->kind != Node::Kind::boolean &&
      strict->value->kind != Node::Kind::null)
    ill_typed(*strict, "true or false");
  add(out, entry, "response_format", schema_text(*schema, folder));
  return out;
}

GenerationValue response_format_in_file(const std::string& text) {
  const ParsedJson parsed = parse_json(text);
  if (!parsed.node || parsed.node->kind != Node::Kind::map) return text;
  // No JSON Schema has such a type, nor this key. {"type": "text"} is taken for a schema that is wrong: who
  // wants no constraint names no file.
  const Node::Entry* const type = parsed.node->find("type");
  const std::string kind = type != nullptr && type->value->is_scalar() ? type->value->text : "";
  const bool wrapped =
      kind == "json_schema" || kind == "json_object" || parsed.node->find("json_schema") != nullptr;
  if (!wrapped) return text;
  const Node::Entry format{"response_format", parsed.node->place, parsed.node};
  return read_response_format(format, std::nullopt).front().second;
}

GenerationOverrides read_structured_outputs(const Node::Entry& entry) {
  if (entry.value->kind != Node::Kind::map)
    ill_typed(entry, "a map {json | regex | choice | grammar | json_object}");
  const Node::Entry* only = nullptr;
  for (const Node::Entry& one : entry.value->map) {
    if (one.value->kind == Node::Kind::null) continue;
    if (one.key == "whitespace_pattern" || one.key == "structural_tag")
      throw PlacedError(ErrorCode::unsupported, one.place, fmt::format("'{}' is not supported", one.key));
    if (only != nullptr)
      fail(one, fmt::format("both '{}' and '{}' are given: one is allowed", only->key, one.key));
    only = &one;
  }
  check_keys(*entry.value,
             {"json", "regex", "choice", "grammar", "json_object", "whitespace_pattern", "structural_tag"},
             "structured_outputs");
  GenerationOverrides out;
  if (only == nullptr) return out;
  if (only->key == "json") {
    const bool written = only->value->kind == Node::Kind::text;  // as a text of JSON, too
    add(out, *only, "response_format", written ? only->value->text : schema_text(*only, std::nullopt));
  } else if (only->key == "json_object") {
    if (only->value->is_true()) add(out, *only, "response_format", std::string("json_object"));
  } else if (only->key == "choice") {
    add(out, *only, "choices", choices_of(*only));
  } else {
    add(out, *only, only->key, text_of(*only, *only->value));
  }
  return out;
}

std::optional<std::filesystem::path> schema_file(const Node& owner, const std::filesystem::path& folder) {
  const auto in = [](const Node::Entry* entry, const char* key) -> const Node::Entry* {
    return entry != nullptr && entry->value->kind == Node::Kind::map ? entry->value->get(key) : nullptr;
  };
  const Node::Entry* const format = owner.get("response_format");
  const Node::Entry* const wrapper = in(format, "json_schema");
  const Node::Entry* const schema = in(wrapper != nullptr ? wrapper : format, "schema");
  if (schema == nullptr || schema->value->kind != Node::Kind::text) return {};
  return folder / schema->value->text;
}

std::string schema_of(const GenerationOverrides& settings, const std::string& otherwise) {
  std::string schema = otherwise;
  for (const auto& [name, value] : settings) {
    if (name == "regex" || name == "grammar" || name == "choices") schema.clear();
    if (name != "response_format") continue;
    const auto* const text = std::get_if<std::string>(&value);
    schema = text == nullptr || *text == "text" || *text == "json_object" ? "" : *text;
  }
  return schema;
}

GenerationOverrides read_constraint(const Node& owner, const std::optional<std::filesystem::path>& folder) {
  GenerationOverrides out;
  const Node::Entry* first = nullptr;
  for (const char* key : {"response_format", "regex", "grammar", "choices"}) {
    const Node::Entry* const entry = owner.get(key);
    if (entry == nullptr) continue;
    if (first != nullptr)
      fail(*entry, fmt::format("both '{}' and '{}' are given: one is allowed", first->key, entry->key));
    first = entry;
    if (entry->key == "response_format")
      out = read_response_format(*entry, folder);
    else if (entry->key == "choices")
      add(out, *entry, key, choices_of(*entry));
    else
      add(out, *entry, key, text_of(*entry, *entry->value));
  }
  if (const Node::Entry* entry = owner.get("whitespace"))
    add(out, *entry, "whitespace", text_of(*entry, *entry->value));
  if (const Node::Entry* entry = owner.get("on_length")) {
    add(out, *entry, "on_length", text_of(*entry, *entry->value));
  }
  return out;
}

void add_constraint(const Node& owner, const std::optional<std::filesystem::path>& folder,
                    GenerationOverrides& settings) {
  const GenerationOverrides held = read_constraint(owner, folder);
  settings.insert(settings.end(), held.begin(), held.end());
  const auto both = two_forms(settings);
  if (!both) return;
  const Node::Entry* entry = owner.get(both->second.c_str());
  if (entry == nullptr) entry = owner.get("generation");
  throw PlacedError(ErrorCode::invalid_item, entry != nullptr ? entry->place : Place{},
                    fmt::format("both '{}' and '{}' are given: one is allowed", both->first, both->second));
}

std::optional<std::pair<std::string, std::string>> two_forms(const GenerationOverrides& settings) {
  std::string first;
  for (const auto& [name, value] : settings) {
    const bool is_form =
        name == "response_format" || name == "regex" || name == "grammar" || name == "choices";
    const auto* const text = std::get_if<std::string>(&value);
    if (!is_form || (text != nullptr && (text->empty() || *text == "text"))) continue;
    if (!first.empty() && first != name) return std::pair(first, name);
    first = name;
  }
  return {};
}

}  // namespace mmbatch
