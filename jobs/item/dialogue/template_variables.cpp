#include "jobs/item/dialogue/template_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "jobs/item/fields.h"
#include "jobs/item/item_builder.h"
#include "jobs/item/job.h"
#include "jobs/text/json_node.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

/// What a template gets from elsewhere.
constexpr std::string_view kTaken[] = {"messages", "tools", "add_generation_prompt",
                                       "continue_final_message"};

void check_nested(const Node& node) {
  check_unique(node);
  for (const NodePointer& element : node.list) check_nested(*element);
  for (const Node::Entry& entry : node.map) check_nested(*entry.value);
}

std::string json_of(const Node::Entry& entry) {
  try {
    std::string json = to_json(*entry.value, JsonForm::written, kMaxItemBytes);
    check_nested(*entry.value);
    return json;
  } catch (const std::length_error& e) {
    throw PlacedError(ErrorCode::invalid_item, entry.place, fmt::format("'{}': {}", entry.key, e.what()));
  }
}

}  // namespace

TemplateVariables read_template_variables(const Node::Entry& entry) {
  if (entry.value->kind != Node::Kind::map) ill_typed(entry, "a map of names and values");
  check_unique(*entry.value);
  TemplateVariables variables;
  for (const Node::Entry& variable : entry.value->map) {
    if (std::find(std::begin(kTaken), std::end(kTaken), variable.key) != std::end(kTaken)) {
      throw PlacedError(
          ErrorCode::invalid_value, variable.place,
          fmt::format("'{}' in '{}' is not for you to set: messages and tools are keys of items, "
                      "and a prompt ends where the model is to answer",
                      variable.key, entry.key));
    }
    variables[variable.key] = json_of(variable);
  }
  return variables;
}

TemplateVariables parse_template_variables(std::string_view json, const std::string& owner) {
  const ParsedJson parsed = parse_json(json);
  if (parsed.fault) {
    throw UsageError(
        fmt::format("{}: column {}: {}", owner, parsed.fault->place.column, parsed.fault->problem));
  }
  if (parsed.node->kind != Node::Kind::map)
    throw UsageError(owner + ": expected a JSON object, such as {\"enable_thinking\": false}");
  try {
    return read_template_variables({.key = owner, .place = {}, .value = parsed.node});
  } catch (const PlacedError& e) {
    throw UsageError(fmt::format("{}: {}", owner, e.what()));
  }
}

TemplateVariables merged(TemplateVariables weaker, const TemplateVariables& stronger) {
  for (const auto& [name, value] : stronger) weaker[name] = value;
  return weaker;
}

std::string to_json(const TemplateVariables& variables) {
  std::string json = "{";
  for (const auto& [name, value] : variables)
    json += fmt::format("{}{}:{}", json.size() > 1 ? "," : "", json_string(name), value);
  return json + "}";
}

std::string template_variables_of(const Manifest& manifest, const Item& item) {
  const Job& job = manifest.jobs.at(item.job);
  return to_json(
      merged(merged(job.template_variables, item.template_variables), manifest.command_line_variables));
}

const std::string& tools_of(const Manifest& manifest, const Item& item) {
  return item.tools.empty() ? manifest.jobs.at(item.job).tools : item.tools;
}

std::string read_tools(const Node::Entry& entry) {
  const char* const expected = "a list of tool definitions, which are maps";
  for (const NodePointer& tool : list_of(entry, expected)) {
    if (tool->kind != Node::Kind::map) ill_typed(entry, expected);
  }
  if (entry.value->list.empty()) return {};
  return json_of(entry);
}

}  // namespace mmbatch
