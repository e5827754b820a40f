#include "jobs/item/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "engine/base/generation_config.h"

namespace mmbatch {
namespace {

constexpr std::string_view kSchema = "{schema}";

/// The placeholder that begins at `at`; empty when there is none.
std::string_view placeholder_at(std::string_view text, std::size_t at) {
  for (const std::string_view known :
       {std::string_view("{question}"), std::string_view("{prompt}"), kSchema}) {
    if (text.substr(at, known.size()) == known) return known;
  }
  return {};
}

std::string_view part_of(const PromptParts& parts, std::string_view placeholder) {
  return placeholder == kSchema ? parts.schema : parts.question;
}

}  // namespace

bool has_placeholder(std::string_view prompt_template) {
  return prompt_template.find("{question}") != std::string_view::npos ||
         prompt_template.find("{prompt}") != std::string_view::npos;
}

bool shows_schema(std::string_view prompt_template) {
  return prompt_template.find(kSchema) != std::string_view::npos;
}

Misspelt misspelt_placeholder(std::string_view prompt_template) {
  constexpr std::size_t kMostLetters = 64;  // of what may be a placeholder
  const std::vector<std::string> known = {"question", "prompt", "schema"};
  for (std::size_t open = prompt_template.find('{'); open != std::string_view::npos;
       open = prompt_template.find('{', open + 1)) {
    const std::string_view behind = prompt_template.substr(open + 1, kMostLetters);
    const std::size_t close = behind.find('}');
    if (close == std::string_view::npos) continue;
    const std::string word(behind.substr(0, close));
    const bool is_word = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
      return std::isalpha(c) != 0 || c == '_' || c == ' ';
    });
    if (!is_word || std::find(known.begin(), known.end(), word) != known.end()) continue;
    const std::string nearest = nearest_name(word, known);
    if (!nearest.empty()) return {word, nearest};
  }
  return {};
}

std::string template_size_fault(std::string_view prompt_template, const PromptParts& parts) {
  constexpr std::size_t kMaxBytes = std::size_t{4} << 20;  // far beyond what any model reads
  std::size_t places = 0, bytes = prompt_template.size();
  for (std::size_t at = 0; at < prompt_template.size(); ++at) {
    const std::string_view placeholder = placeholder_at(prompt_template, at);
    if (placeholder.empty()) continue;
    ++places;
    bytes += part_of(parts, placeholder).size();
  }
  if (places < 2 || bytes <= kMaxBytes) return {};
  return fmt::format(
      "the job's 'prompt' has {} placeholders: filled in, it would have {} MiB, at most {} are allowed",
      places, bytes >> 20, kMaxBytes >> 20);
}

std::string fill_template(std::string_view prompt_template, const PromptParts& parts) {
  std::string out;
  for (std::size_t at = 0; at < prompt_template.size();) {
    const std::string_view placeholder = placeholder_at(prompt_template, at);
    if (placeholder.empty())
      out += prompt_template[at];
    else
      out += part_of(parts, placeholder);
    at += std::max<std::size_t>(placeholder.size(), 1);
  }
  return out;
}

}  // namespace mmbatch
