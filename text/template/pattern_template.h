#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// A manifest's pattern, such as "USER: {image}\n{question} ASSISTANT:", as a Jinja template.
/// @throws UsageError for another placeholder, and without {question}
std::string template_of_pattern(std::string_view pattern);

}  // namespace mmbatch
