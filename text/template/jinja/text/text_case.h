#pragma once

#include <string>
#include <string_view>

namespace mmbatch::jinja {

/// Charges for looking at a text character by character, which costs many times what copying it does.
void charge_characters(std::string_view text);

// Python's str methods of these names.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string casefold(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swapcase(std::string_view text);

/// Whether text is not empty and all its characters are of a kind: alpha, alnum, digit, decimal, numeric,
/// space, ascii, upper, lower.
bool is_all(std::string_view kind, std::string_view text);

}  // namespace mmbatch::jinja
