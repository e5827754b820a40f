#include "jobs/metrics/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "engine/base/error.h"
#include "engine/base/text/edit_distance.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/metrics/whole_number.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> out;
  for (std::size_t at = 0; at < text.size();) out.push_back(next_code_point(text, at));
  return out;
}

double similarity(const std::vector<char32_t>& a, const std::vector<char32_t>& b) {
  const std::size_t longer = std::max(a.size(), b.size());
  if (longer == 0) return 1.0;
  const std::size_t least = longer - std::min(a.size(), b.size());  // no distance is below it
  if (2 * least >= longer) return 0.0;
  const double normalized = static_cast<double>(edit_distance(a, b)) / static_cast<double>(longer);
  return normalized < 0.5 ? 1.0 - normalized : 0.0;
}

/// What exact match compares.
class Matcher {
 public:
  explicit Matcher(const MatchOptions& options) : options_(options) {
    for (const std::string& expression : options.ignore) ignore_.emplace_back(expression);
  }

  std::string operator()(std::string_view text) const {
    std::string out(text);
    for (const std::regex& expression : ignore_) out = std::regex_replace(out, expression, "");
    if (options_.ignore_case) out = to_lower(out);
    if (options_.ignore_punctuation) {
      const auto is_punctuation = [](unsigned char c) { return c < 0x80 && std::ispunct(c) != 0; };
      out.erase(std::remove_if(out.begin(), out.end(), is_punctuation), out.end());
    }
    return std::string(stripped(out));
  }

 private:
  const MatchOptions& options_;
  std::vector<std::regex> ignore_;
};

}  // namespace

void MatchOptions::validate() const {
  for (const std::string& expression : ignore) {
    try {
      const std::regex compiled(expression);
    } catch (const std::regex_error& e) {
      throw UsageError(fmt::format("'{}' is no regular expression: {}", expression, e.what()));
    }
  }
}

bool exact_match(std::string_view answer, const std::vector<std::string>& references,
                 const MatchOptions& options) {
  const Matcher compared(options);
  const std::string own = compared(answer);
  return std::any_of(references.begin(), references.end(), [&](const std::string& reference) {
    return compared(reference) == own || same_whole_number(reference, answer);
  });
}

std::size_t levenshtein(std::string_view a, std::string_view b) {
  return edit_distance(code_points(a), code_points(b));
}

double anls(std::string_view answer, const std::vector<std::string>& references) {
  const auto comparable = [](std::string_view text) { return code_points(to_lower(stripped(text))); };
  const std::vector<char32_t> own = comparable(answer);
  double best = 0;
  for (const std::string& reference : references)
    best = std::max(best, similarity(own, comparable(reference)));
  return best;
}

std::optional<AnswerScore> score_answer(std::string_view answer, const std::vector<std::string>& references) {
  if (references.empty()) return std::nullopt;
  return AnswerScore{exact_match(answer, references), vqa_accuracy(answer, references)};
}

}  // namespace mmbatch
