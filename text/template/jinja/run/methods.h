#pragma once

#include <optional>
#include <string_view>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

/// A method of a string, list, tuple, dictionary or number, bound to its value.
std::optional<Value> find_method(const Value& value, std::string_view name);

}  // namespace mmbatch::jinja
