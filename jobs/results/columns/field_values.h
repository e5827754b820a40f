#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/results/database.h"

namespace mmbatch {

/// A query that counts what stands in some columns of a table: field, value, count, percent of the table's
/// rows; fields in their order, of each the most frequent values first. NULL stands for rows without one.
/// @param rows a query whose result is counted
/// @param fields columns of it, at most kMaxCountedFields
/// @param limit values of each field
std::string value_counts_sql(const std::string& rows, const std::vector<std::string>& fields,
                             std::uint64_t limit);
inline constexpr std::size_t kMaxCountedFields = 400;  // SQLite joins 500 queries

/// What stands in one field of a job's answers.
struct FieldValues {
  std::string field;          // `total`; of a list's elements `items.price`
  std::uint64_t rows = 0;     // answers, or elements of the list
  std::uint64_t missing = 0;  // of them: without a value
  /// Of fields that hold numbers only, and more than three different ones.
  struct Spread {
    double least = 0, median = 0, most = 0;
  };
  std::optional<Spread> spread;
  std::vector<std::pair<std::string, std::uint64_t>> values;  // JSON, count; the five most frequent

  double share_missing() const {
    return rows == 0 ? 0 : static_cast<double>(missing) / static_cast<double>(rows);
  }
};

/// The fields of a job's answers, the first kMaxSummarizedFields of each of its tables.
struct JobValues {
  std::string job;
  std::vector<FieldValues> fields;
};
inline constexpr std::size_t kMaxSummarizedFields = 100;

/// Of each job whose answers are held to a JSON Schema and that has any, in the order of jobs.
/// @param filter which rows of `results r` are meant, in SQL
/// @param job only this one; empty: all
std::vector<JobValues> job_values(Database& database, const std::string& filter, const std::string& job);

/// A field's values in a line: "2 to 9, median 4", or "red (3), blue (1)".
std::string values_text(const FieldValues& field);

std::string to_json(const std::vector<JobValues>& jobs);
/// Lines for people; empty when there are no fields.
std::string to_text(const std::vector<JobValues>& jobs);

}  // namespace mmbatch
