#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/metrics/metrics.h"
#include "jobs/query/summaries/failures.h"
#include "jobs/results/columns/field_values.h"

namespace mmbatch {

struct EvalOptions {
  std::string run;                   // a number; empty: each item's latest outcome
  std::string run_option = "--run";  // which named it, for messages
  std::string job;
  MatchOptions match;
  /// VQAv2's files (vqa_files.h); with them the items' references and types come from there, not from the
  /// database.
  std::filesystem::path annotations;
  std::filesystem::path questions;
  std::map<std::string, std::string> fields;  // how fields are compared, by path (fields/field_eval.h)
  int bootstrap_samples = 1000;               // for the confidence interval; 0: none
};

/// Rates from 0 to 1 over the answered items that carry reference answers; of several sequences the first
/// counts.
struct EvalScores {
  std::uint64_t items = 0;     // with references
  std::uint64_t answered = 0;  // of them
  std::uint64_t failed = 0;    // of them
  double exact_match = 0;      // sums while counting, rates in a report
  double vqa_accuracy = 0;
  double anls = 0;
  double exact_match_of_all = 0;                      // failed items counted as wrong
  std::optional<std::pair<double, double>> interval;  // 95 % of exact_match, by bootstrap over items
};

struct EvalReport {
  EvalScores all;
  std::uint64_t without_references = 0;  // items that cannot be scored
  std::vector<std::pair<std::string, EvalScores>> jobs;
  std::vector<std::pair<std::string, EvalScores>> question_types;
  std::vector<std::pair<std::string, EvalScores>> answer_types;
  std::vector<JobValues> values;  // of answers to JSON Schemas, with references or without
  std::vector<FailureGroup> failures;
};

/// How a job's answers are compared with references that are objects.
struct JobRules {
  FieldRules rules;                     // the schema's, the manifest's `fields`, EvalOptions::fields
  std::string schema;                   // of its answers, or empty
  std::vector<std::string> properties;  // of the schema
};

/// An item as it is scored.
struct ScoredItem {
  std::string job, id;
  std::optional<std::string> answer;  // none: it failed
  std::vector<std::string> references;
  std::optional<std::string> question_type, answer_type;
  std::string metadata;                       // JSON, or empty
  std::shared_ptr<const JobRules> job_rules;  // never null
};

/// Calls `take` for the first sequence of each item.  @throws DatabaseError, UsageError.
void for_each_scored(Database& database, const EvalOptions& options,
                     const std::function<void(const ScoredItem&)>& take);

/// @throws DatabaseError, UsageError.
EvalReport evaluate(Database& database, const EvalOptions& options);
EvalReport evaluate(const std::filesystem::path& database, const EvalOptions& options);

std::string to_json(const EvalReport& report);
/// Lines for people.
std::string to_text(const EvalReport& report);

}  // namespace mmbatch
