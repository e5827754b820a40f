#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// JSON as text: what crosses the borders of this folder's files, so that no header needs a JSON library.

constexpr int kMaxJsonDepth = 64;

/// Why a text is not taken as JSON.
struct JsonFault {
  std::size_t offset = 0;  // in bytes
  std::string problem;
};

/// Checks syntax, UTF-8, nesting (at most kMaxJsonDepth) and that no key stands twice in an object. A text
/// that passes can be parsed and dumped without fear.
std::optional<JsonFault> check_json(std::string_view text);

/// Offset of a key of the outermost object, if it is there; for messages.
std::optional<std::size_t> find_key(std::string_view object, std::string_view key);

/// The text as a JSON string, with quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
std::string json_array(const std::vector<std::string>& texts);
/// The elements of an array of strings; empty when the text is none.
std::vector<std::string> parse_json_array(std::string_view text);

}  // namespace mmbatch
