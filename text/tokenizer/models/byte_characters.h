#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

// GPT-2's alphabet: every byte has a printable character, itself where it has one in Latin-1 (! to ~, ¡ to ¬,
// ® to ÿ), else one of U+0100 to U+0143 in the order of the bytes.

/// The character of a byte.
char32_t character_of_byte(unsigned char byte);
/// The byte of a character; -1 when it has none.
int byte_of_character(char32_t c);

/// Appends the characters of all bytes of `text`.
void append_byte_characters(std::string_view text, std::string& out);

}  // namespace mmbatch
