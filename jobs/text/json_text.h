#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// JSON as it is written into the database and to files.

constexpr int kMaxJsonDepth = 64;

/// The text, or nothing where its brackets are nested deeper than kMaxJsonDepth levels: nlohmann's parser
/// takes any nesting, but what copies or writes its values recurses.
std::string_view shallow_json(std::string_view text);

/// The text as a JSON string, with quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
std::string json_array(const std::vector<std::string>& texts);
/// The elements of an array of strings; empty when the text is something else.
std::vector<std::string> parse_json_array(std::string_view text);

}  // namespace mmbatch
