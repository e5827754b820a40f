#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mmbatch {

/// Offset of the first byte that is no well-formed UTF-8 (RFC 3629), if any.
std::optional<std::size_t> invalid_utf8_at(std::string_view text);

/// The code point at `at`, which moves behind it; U+FFFD for a byte that begins none.
char32_t next_code_point(std::string_view text, std::size_t& at);

/// Columns that a terminal gives the code point: 0 for combining marks, 2 for East Asian wide and emoji,
/// else 1.
std::size_t display_width(char32_t code_point);
std::size_t display_width(std::string_view text);

/// The text, with U+FFFD in place of bytes that are no UTF-8.
std::string valid_utf8(std::string_view text);

/// Lower case of Latin, Greek and Cyrillic letters; others stay.
std::string lower_case(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

/// The text without white space at both ends.
std::string_view stripped(std::string_view text);

}  // namespace mmbatch
