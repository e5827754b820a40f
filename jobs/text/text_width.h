#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mmbatch {

/// Columns that a terminal gives the code point: 0 for combining marks, 2 for East Asian wide and emoji,
/// else 1.
std::size_t display_width(char32_t code_point);
std::size_t display_width(std::string_view text);

/// The text without ASCII white space at both ends.
std::string_view stripped(std::string_view text);

/// The text, or, of one longer than this many bytes, its beginning and an ellipsis: for messages.
std::string shortened(std::string_view text, std::size_t max_bytes);

}  // namespace mmbatch
