#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mmbatch {

/// What is done with a keyword of JSON Schema.
enum class KeywordUse { enforced, annotation, refused, unknown };
KeywordUse keyword_use(std::string_view keyword);

/// Why a refused keyword is, and what to write instead.
std::string refusal(std::string_view keyword);

/// The known keyword that an unknown one was probably meant to be: within one letter of one of five letters
/// or more, or two of one of eight or more.
std::optional<std::string> meant_keyword(std::string_view unknown);

}  // namespace mmbatch
