#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// A job's `prompt`: text in which {question}, or its synonym {prompt}, is replaced by the item's question,
/// and {schema} by the JSON Schema that its answer is held to. Other braces are left as they are.

/// What stands for the placeholders.
struct PromptParts {
  std::string_view question;
  std::string_view schema;
};

/// Whether the item's question has a place.
bool has_placeholder(std::string_view prompt_template);
/// Whether {schema} has one.
bool shows_schema(std::string_view prompt_template);

/// A word in braces that is nearly a placeholder, such as {quesion}, and the placeholder; empty when there is
/// none.
struct Misspelt {
  std::string word, nearest;
};
Misspelt misspelt_placeholder(std::string_view prompt_template);

/// Why the text would be too large; empty: it is not. A placeholder that occurs often multiplies: this is
/// known before anything is filled in.
std::string template_size_fault(std::string_view prompt_template, const PromptParts& parts);

std::string fill_template(std::string_view prompt_template, const PromptParts& parts);

}  // namespace mmbatch
