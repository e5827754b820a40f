#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace mmbatch {

/// How the insides of a PCRE2 class say what Oniguruma means by an escape: `\s` by its ranges, `\p{Han}` by
/// its script. Empty when there is no such property.
/// @param name of `\p{name}`; case, spaces, `_` and `-` do not count.
std::string property_items(std::string_view name, bool negated);
/// `s`, `w`, `d`, `h` and, for what they do not match, `S`, `W`, `D`, `H`.
std::string escape_items(char letter);
/// A character as PCRE2 reads it, inside a class and outside.
std::string escaped_character(char32_t c);

/// The character class `[…]` that begins at `at`, which moves behind it, for PCRE2.
/// @param fail throws; called with what is wrong.
std::string translate_class(std::string_view pattern, std::size_t& at,
                            const std::function<void(const std::string&)>& fail);
/// The code point that an escape such as `\n` or `\x{1F600}` stands for; `at` stands behind the backslash and
/// moves behind the escape.
char32_t escaped_code_point(std::string_view pattern, std::size_t& at,
                            const std::function<void(const std::string&)>& fail);

}  // namespace mmbatch
