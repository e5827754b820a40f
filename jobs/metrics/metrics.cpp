#include "jobs/metrics/metrics.h"

#include <algorithm>
#include <cctype>

#include "engine/base/text/edit_distance.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/metrics/fields/field_scores.h"
#include "jobs/metrics/whole_number.h"
#include "jobs/text/pattern.h"
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

/// Of references that are JSON objects: all of their fields are right.
bool same_object(std::string_view answer, std::string_view reference, const FieldRules& rules) {
  if (stripped(answer).substr(0, 1) != "{" || stripped(reference).substr(0, 1) != "{") return false;
  FieldScores scores;
  return score_fields(answer, reference, rules, scores).value_or(false);
}

}  // namespace

struct Matcher::Impl {
  MatchOptions options;
  std::vector<Pattern> ignore;

  /// What is compared of a text.
  std::string compared(std::string_view text) const {
    std::string out(text);
    for (const Pattern& pattern : ignore) out = pattern.without_matches(out);
    if (options.ignore_case) out = to_lower(out);
    if (options.ignore_punctuation) {
      const auto is_punctuation = [](unsigned char c) { return c < 0x80 && std::ispunct(c) != 0; };
      out.erase(std::remove_if(out.begin(), out.end(), is_punctuation), out.end());
    }
    return std::string(stripped(out));
  }
};

Matcher::Matcher(const MatchOptions& options) : impl_(std::make_shared<Impl>(Impl{options, {}})) {
  for (const std::string& expression : options.ignore) impl_->ignore.emplace_back(expression, "--ignore");
}

bool Matcher::operator()(std::string_view answer, const std::vector<std::string>& references,
                         const FieldRules& rules) const {
  const std::string own = impl_->compared(answer);
  return std::any_of(references.begin(), references.end(), [&](const std::string& reference) {
    return impl_->compared(reference) == own || same_whole_number(reference, answer) ||
           same_object(answer, reference, rules);
  });
}

bool exact_match(std::string_view answer, const std::vector<std::string>& references,
                 const MatchOptions& options) {
  return Matcher(options)(answer, references);
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

std::optional<AnswerScore> score_answer(std::string_view answer, const std::vector<std::string>& references,
                                        const FieldRules& rules) {
  static const Matcher kPlain{MatchOptions{}};
  if (references.empty()) return std::nullopt;
  return AnswerScore{kPlain(answer, references, rules), vqa_accuracy(answer, references)};
}

}  // namespace mmbatch
