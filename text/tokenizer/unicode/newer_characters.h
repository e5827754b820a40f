#pragma once

namespace mmbatch {

/// Tokenizers are defined with the character classes of Unicode 16; the libraries here know those of 14
/// (PCRE2) and 15 (ICU). For a character that is newer, an older one of the same general category and of as
/// many bytes of UTF-8, which may be looked up in its place; any other character itself.
char32_t older_character(char32_t code_point);

}  // namespace mmbatch
