#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/metrics/fields/field_rules.h"

namespace mmbatch {

/// How often a field was right.
struct FieldScore {
  std::uint64_t compared = 0;                          // values, or lists of texts and numbers
  std::uint64_t right = 0;                             // of them, null for null too
  std::uint64_t missing = 0;                           // the reference has a value, the answer none
  std::uint64_t invented = 0;                          // the other way round
  std::uint64_t hits = 0, false_hits = 0, misses = 0;  // of F1: values, and elements of lists

  /// 2 hits / (2 hits + false hits + misses); 1 where there was nothing to find.
  double f1() const;
  FieldScore& operator+=(const FieldScore& other);
};
using FieldScores = std::map<std::string, FieldScore>;  // by path

/// Compares an answer with a reference, both JSON objects, field by field. Keys that the reference does not
/// have are not judged: null says that there must be no value. Lists of objects are aligned by the rule of
/// their path, or so that most fields agree; what has no partner counts against the answer.
/// @param answer none: the item failed, and misses everything
/// @return whether all was right; nothing when the reference is no object
std::optional<bool> score_fields(std::optional<std::string_view> answer, std::string_view reference,
                                 const FieldRules& rules, FieldScores& scores);

/// Rules that a JSON Schema implies: of enumerations, dates and whole numbers `exact`.
FieldRules rules_of_schema(std::string_view schema);
/// These, and in their place those that the job's `fields` give (field_rules_json()).
FieldRules rules_of_job(std::string_view schema, std::string_view fields);

/// Whether a text is a JSON object.
bool is_json_object(std::string_view text);

}  // namespace mmbatch
