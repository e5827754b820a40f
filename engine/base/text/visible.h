#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// `text` as it may be shown on a terminal: what could move the cursor, change colours, hide or reorder
/// characters is written out, such as \x1b and \u202e. That is every control character but tab and newline,
/// marks of direction (U+061C, U+200E, U+200F, U+202A … U+202E, U+2066 … U+2069), separators of lines and
/// characters without a width that no script needs (U+200B, U+2028, U+2029, U+2060 … U+2064, U+FEFF), tags
/// (U+E0000 … U+E007F), and bytes that are not UTF-8. Joiners (U+200C, U+200D) stay: Persian, Hindi and emoji
/// need them.
std::string visible(std::string_view text);

/// The same on one line: tab and newline are written out too. For names inside of tables and messages.
std::string visible_line(std::string_view text);

}  // namespace mmbatch
