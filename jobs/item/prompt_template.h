#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// A job's `prompt`: text in which {question}, or its synonym {prompt}, is replaced by the item's question.
/// Other braces are left as they are.

bool has_placeholder(std::string_view prompt_template);

/// A word in braces that is nearly a placeholder, such as {quesion}; empty when there is none.
std::string misspelt_placeholder(std::string_view prompt_template);

/// Why the text would be too large; empty: it is not. A placeholder that occurs often multiplies: this is
/// known before anything is filled in.
std::string template_size_fault(std::string_view prompt_template, std::string_view question);

std::string fill_template(std::string_view prompt_template, std::string_view question);

}  // namespace mmbatch
