#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// An expression in Oniguruma's syntax, as PCRE2 (UTF, UCP, MULTILINE, newline LF) must read it to match the
/// same. What differs: `\s`, `\w` and `\b` know other characters; `\h` is a hexadecimal digit, `\v` a
/// vertical tab; `{n,m}+` repeats a repetition, it is not possessive; classes nest and intersect
/// (`[a&&[^b]]`); `\p{Han}` asks for the script, not for script extensions.
/// @throws ModelError that names `where` and what is not supported.
std::string translate_regex(std::string_view pattern, const std::string& where);

}  // namespace mmbatch
