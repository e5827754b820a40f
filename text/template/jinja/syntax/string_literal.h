#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mmbatch::jinja {

/// What stands between the quotes of a string, with Python's escapes resolved.
/// @param problem says what is wrong where there is no result.
std::optional<std::string> unescape_string(std::string_view text, std::string& problem);

}  // namespace mmbatch::jinja
