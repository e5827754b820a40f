#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/metrics/fields/field_rules.h"

namespace mmbatch {

/// What exact match looks past. White space at both ends never counts.
struct MatchOptions {
  bool ignore_case = false;
  bool ignore_punctuation = false;  // ASCII punctuation is dropped
  std::vector<std::string> ignore;  // regular expressions (pattern.h) whose matches are dropped
};

/// Whether an answer equals one of the references, writes the same whole number (whole_number.h), or is an
/// object whose fields are those of a reference that is one (fields/field_scores.h).
/// Thread-safe.
class Matcher {
 public:
  /// @throws UsageError when a regular expression is none.
  explicit Matcher(const MatchOptions& options);
  /// @param rules of objects: how their fields are compared
  /// @throws UsageError when a regular expression takes too long on a text.
  bool operator()(std::string_view answer, const std::vector<std::string>& references,
                  const FieldRules& rules = {}) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// The same for one answer.
bool exact_match(std::string_view answer, const std::vector<std::string>& references,
                 const MatchOptions& options = {});

/// Accuracy of VQAv2 from 0 to 1, after its evaluator (vqaEval.py of github.com/GT-Vision-Lab/VQA): for each
/// human answer min(1, matches among the others / 3), and their mean. With fewer than ten answers: 1 when one
/// of them equals the answer after normalisation or is the same whole number, else 0.
double vqa_accuracy(std::string_view answer, const std::vector<std::string>& references);

/// Punctuation, numbers, articles and contractions as that evaluator processes them.
std::string vqa_normalized(std::string_view text);

/// Average normalized Levenshtein similarity of one answer (arXiv 1905.13648): the best over the references
/// of 1 - distance / longer length, or 0 from half on; lower-cased and stripped.
double anls(std::string_view answer, const std::vector<std::string>& references);

/// Edit distance in Unicode code points.
std::size_t levenshtein(std::string_view a, std::string_view b);

/// The columns `correct` (exact match) and `score` (VQA accuracy) of an answer.
struct AnswerScore {
  bool correct = false;
  double score = 0;
};
/// Nothing when there are no references.
std::optional<AnswerScore> score_answer(std::string_view answer, const std::vector<std::string>& references,
                                        const FieldRules& rules = {});

}  // namespace mmbatch
