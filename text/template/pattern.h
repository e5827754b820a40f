#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// A part of a pattern: text as it stands, or the name of a placeholder.
struct PatternPart {
  std::string text;
  bool placeholder = false;
};

/// Cuts a pattern such as "USER: {image}\n{question} ASSISTANT:" at its placeholders; `{{` and `}}` stand for
/// a brace.
/// @param setting what errors name, such as "turn_format".
/// @throws UsageError that names the allowed placeholders, at any other one and at a `{` without an end.
std::vector<PatternPart> parse_pattern(std::string_view pattern, std::string_view setting,
                                       std::initializer_list<std::string_view> allowed);

}  // namespace mmbatch
