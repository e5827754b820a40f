#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// The regular expression, for the whole text, of a `format` of strings; nothing for an unknown one.
std::optional<std::string> format_pattern(std::string_view format);

/// The names of all of them.
std::vector<std::string> string_formats();

}  // namespace mmbatch
