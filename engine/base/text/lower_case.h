#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// The one lower-case code point of `c`, or `c`: the simple mapping of Unicode.
char32_t lower_case(char32_t c);

/// `text` in lower case, code point by code point (U+0130 becomes two); bytes that are not UTF-8 become
/// U+FFFD.
std::string to_lower(std::string_view text);

}  // namespace mmbatch
