#include "jobs/item/requests/request_body.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// {"type": "text"}, ["text"], [], {}, "none": as if it were not there.
bool asks_for_nothing(const Node::Entry& entry) {
  const Node& value = *entry.value;
  const std::string& key = entry.key;
  if (value.kind == Node::Kind::list && value.list.empty()) return true;
  if (value.kind == Node::Kind::map && value.map.empty()) return true;
  if (key == "stream" || key == "background" || key == "echo")
    return value.kind == Node::Kind::boolean && !value.is_true();
  if (key == "function_call") return is_text(value, "none") || is_text(value, "auto");
  if (key == "truncation") return is_text(value, "disabled");
  if (key == "suffix") return is_text(value, "");
  if (key == "best_of") return value.kind == Node::Kind::number && value.text == "1";
  if (key == "modalities")
    return value.kind == Node::Kind::list && value.list.size() == 1 && is_text(*value.list[0], "text");
  return false;
}

}  // namespace

bool is_text(const Node& value, std::string_view text) {
  return value.kind == Node::Kind::text && value.text == text;
}

NodePointer map_node(std::vector<Node::Entry> entries, Place place) {
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::map;
  node->place = place;
  std::erase_if(entries, [](const Node::Entry& entry) { return entry.value == nullptr; });
  for (const Node::Entry& entry : entries) node->height = std::max(node->height, entry.value->height + 1);
  node->map = std::move(entries);
  return node;
}

NodePointer list_node(std::vector<NodePointer> elements, Place place) {
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::list;
  node->place = place;
  for (const NodePointer& element : elements) node->height = std::max(node->height, element->height + 1);
  node->list = std::move(elements);
  return node;
}

void check_body(const Node& body, const BodyKeys& keys) {
  check_unique(body);
  for (const Node::Entry& entry : body.map) {
    if (entry.value->kind == Node::Kind::null || contains(keys.known, entry.key) ||
        contains(keys.ignored, entry.key))
      continue;
    if (contains(keys.unsupported, entry.key)) {
      if (asks_for_nothing(entry)) continue;
      throw PlacedError(ErrorCode::unsupported, entry.place,
                        fmt::format("'{}' in the body is not supported", entry.key));
    }
    const std::string nearest = nearest_name(entry.key, keys.known);
    throw PlacedError(ErrorCode::unknown_key, entry.place,
                      fmt::format("unknown key '{}' in the body{}", shortened(entry.key, 80),
                                  nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
  }
}

void add_setting(Item& item, const Node::Entry& entry, const char* name, GenerationValue value) {
  GenerationConfig checked;
  try {
    set(checked, name, value);
  } catch (const GenerationError& e) {
    throw PlacedError(ErrorCode::invalid_value, entry.place,
                      fmt::format("in the body, {}", e.message({{name, entry.key}})));
  }
  item.generation.emplace_back(name, std::move(value));
}

void read_settings(const RequestBody& request, const std::vector<RequestSetting>& settings) {
  Item& item = request.item;
  for (const RequestSetting& setting : settings) {
    const Node::Entry* const entry = request.body.get(setting.written);
    if (entry == nullptr) continue;
    item.setting_names[setting.name] = setting.written;
    add_setting(item, *entry, setting.name, setting_of(*entry));
  }
  item.setting_names["do_sample"] = "a 'temperature' above 0";
  const Node::Entry* const entry = request.body.get("temperature");
  if (entry == nullptr) return;
  const double temperature = entry->value->kind == Node::Kind::number ? real_of(entry->value->text) : -1;
  if (!(temperature >= 0 && temperature <= 2)) ill_typed(*entry, "a number from 0 to 2");
  add_setting(item, *entry, "do_sample", temperature > 0);
  if (temperature == 0) return;
  add_setting(item, *entry, "temperature", setting_of(*entry));
  add_setting(item, *entry, "top_k", std::int64_t{0});
}

const Node::Entry* tools_of_request(const Node& body) {
  const Node::Entry* const choice = body.get("tool_choice");
  const bool none = choice != nullptr && is_text(*choice->value, "none");
  if (choice != nullptr && !none && !is_text(*choice->value, "auto")) {
    throw PlacedError(ErrorCode::unsupported, choice->place,
                      "'tool_choice' in the body may be auto or none: a call cannot be forced");
  }
  const Node::Entry* const parallel = body.get("parallel_tool_calls");
  if (parallel != nullptr && parallel->value->kind != Node::Kind::boolean)
    ill_typed(*parallel, "true or false");
  return none ? nullptr : body.get("tools");
}

}  // namespace mmbatch
