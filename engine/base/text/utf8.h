#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mmbatch {

/// U+FFFD, what stands for bytes that are not UTF-8.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// Length in bytes of the well-formed UTF-8 sequence that `text` begins with (Unicode 15, table 3-7); 0 when
/// it begins with none.
std::size_t utf8_length(std::string_view text);

/// True when `text` is not empty, and more bytes could make it one well-formed sequence.
bool utf8_incomplete(std::string_view text);

bool is_utf8(std::string_view text);
/// Offset of the first byte that begins no well-formed sequence, if any.
std::optional<std::size_t> invalid_utf8_at(std::string_view text);

/// `text` with every maximal ill-formed part replaced by U+FFFD, as Python's errors="replace" does it.
std::string replace_invalid_utf8(std::string_view text);

/// The code point at `at`, which moves behind it; U+FFFD for a byte that begins none.
char32_t next_code_point(std::string_view text, std::size_t& at);
void append_code_point(char32_t code_point, std::string& out);

/// White space as Python's str.isspace(), str.strip() and the `\s` of its regular expressions take it.
bool is_space(char32_t code_point);
/// Well-formed `text` without white space at its left, or right, end.
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);

/// `text` with every `from` replaced by `to`.  @param from not empty.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace mmbatch
