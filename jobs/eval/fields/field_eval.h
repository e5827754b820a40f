#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "jobs/eval/eval.h"
#include "jobs/metrics/fields/field_scores.h"

namespace mmbatch {

/// A job's answers against references that are objects, field by field.
struct FieldsOfJob {
  std::string job;
  std::uint64_t items = 0;   // with such references
  std::uint64_t failed = 0;  // of them: they miss everything
  std::uint64_t right = 0;   // of them: every field is right
  FieldScores fields;
  FieldScore all;  // the sum of the fields
};

/// References are an item's `answer`, or, where it has none, those of its metadata whose names are properties
/// of the job's schema. Rules are, from the weakest: the schema's, the manifest's `fields`, `options.fields`.
/// @throws DatabaseError, UsageError
std::vector<FieldsOfJob> evaluate_fields(Database& database, const EvalOptions& options);
std::vector<FieldsOfJob> evaluate_fields(const std::filesystem::path& database, const EvalOptions& options);

std::string to_json(const std::vector<FieldsOfJob>& jobs);
/// Lines for people.
std::string to_text(const std::vector<FieldsOfJob>& jobs);

/// Two evaluations beside each other, by field.
std::string compared_json(const std::vector<FieldsOfJob>& first, const std::vector<FieldsOfJob>& second);
std::string compared_text(const std::vector<FieldsOfJob>& first, const std::vector<FieldsOfJob>& second);

}  // namespace mmbatch
