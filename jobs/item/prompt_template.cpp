#include "jobs/item/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "engine/base/generation_config.h"

namespace mmbatch {
namespace {

/// The length of the placeholder that begins at `at`, or 0.
std::size_t placeholder_at(std::string_view text, std::size_t at) {
  for (const std::string_view known : {"{question}", "{prompt}"}) {
    if (text.substr(at, known.size()) == known) return known.size();
  }
  return 0;
}

}  // namespace

bool has_placeholder(std::string_view prompt_template) {
  return prompt_template.find("{question}") != std::string_view::npos ||
         prompt_template.find("{prompt}") != std::string_view::npos;
}

std::string misspelt_placeholder(std::string_view prompt_template) {
  for (std::size_t open = prompt_template.find('{'); open != std::string_view::npos;
       open = prompt_template.find('{', open + 1)) {
    const std::size_t close = prompt_template.find('}', open);
    if (close == std::string_view::npos) break;
    const std::string word(prompt_template.substr(open + 1, close - open - 1));
    const bool is_word = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
      return std::isalpha(c) != 0 || c == '_' || c == ' ';
    });
    if (is_word && word != "question" && word != "prompt" &&
        !nearest_name(word, {"question", "prompt"}).empty()) {
      return word;
    }
  }
  return {};
}

std::string template_size_fault(std::string_view prompt_template, std::string_view question) {
  constexpr std::size_t kMaxBytes = std::size_t{4} << 20;  // far beyond what any model reads
  std::size_t places = 0;
  for (std::size_t at = 0; at < prompt_template.size(); ++at)
    places += placeholder_at(prompt_template, at) > 0 ? 1 : 0;
  if (places < 2) return {};
  const std::size_t bytes = prompt_template.size() + places * question.size();
  if (bytes <= kMaxBytes) return {};
  return fmt::format(
      "the job's 'prompt' has {{question}} {} times: filled in, it would have {} MiB, at most {} are allowed",
      places, bytes >> 20, kMaxBytes >> 20);
}

std::string fill_template(std::string_view prompt_template, std::string_view question) {
  std::string out;
  for (std::size_t at = 0; at < prompt_template.size();) {
    const std::size_t length = placeholder_at(prompt_template, at);
    if (length > 0)
      out += question;
    else
      out += prompt_template[at];
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

}  // namespace mmbatch
