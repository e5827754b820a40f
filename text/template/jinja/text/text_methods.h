#pragma once

#include <map>
#include <string>
#include <string_view>

#include "text/template/jinja/value/value.h"

namespace mmbatch::jinja {

using TextMethod = Value (*)(const Value& self, const Arguments& arguments);
/// Python's methods of strings, by name.
const std::map<std::string_view, TextMethod>& text_methods();

enum class Side { left, right, both };
/// `text` without the characters of `set`, or white space where it is nullptr, at its ends.
std::string strip(std::string_view text, const std::string* set, Side side);

}  // namespace mmbatch::jinja
