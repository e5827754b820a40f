#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// Whether answers to a JSON Schema can have a field with this path (field_rules.h). Where the schema is
/// none, or leaves open what there may be, they can.
bool schema_has_path(std::string_view schema, std::string_view path);

/// Whether a JSON value has it.
bool value_has_path(std::string_view json, std::string_view path);

/// What is wrong with a rule for a path, where answers are held to a schema: it has no such path, and which
/// was meant. Empty: nothing.
std::string field_path_fault(std::string_view schema, const std::string& path, std::string_view rule);

}  // namespace mmbatch
