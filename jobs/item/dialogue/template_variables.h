#pragma once

#include <map>
#include <string>
#include <string_view>

#include "jobs/text/node.h"

namespace mmbatch {

struct Item;
struct Manifest;

/// `chat_template_kwargs`: variables of a chat template, such as enable_thinking, and their values as JSON.
using TemplateVariables = std::map<std::string, std::string>;

/// A map of names and values of any kind. What the program itself gives to a template cannot be set.
/// @throws PlacedError
TemplateVariables read_template_variables(const Node::Entry& entry);
/// The same of a JSON text.  @throws UsageError that begins with `owner`, such as an option's name
TemplateVariables parse_template_variables(std::string_view json, const std::string& owner);

/// Of a job's items, of which the manifest's, the job's, and at last the command line's count; the later
/// replaces the earlier.
TemplateVariables merged(TemplateVariables weaker, const TemplateVariables& stronger);
/// Those of an item: its job's, its own, the command line's.  @return a JSON object with sorted keys
std::string template_variables_of(const Manifest& manifest, const Item& item);
/// The tool definitions of an item: its own, or its job's.  @return a JSON list, or empty
const std::string& tools_of(const Manifest& manifest, const Item& item);
/// @return a JSON object with sorted keys
std::string to_json(const TemplateVariables& variables);

/// Tool definitions: a list of objects, as JSON.  @throws PlacedError
std::string read_tools(const Node::Entry& entry);

}  // namespace mmbatch
