#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/eval/eval.h"

namespace mmbatch {

/// An item whose answer is not the same on both sides.
struct ChangedItem {
  std::string job, id;
  std::string first, second;  // answers; empty for a failed item
  std::vector<std::string> references;
  bool first_correct = false, second_correct = false;
};

/// Two sets of answers to the same items, by exact match; failed items count as wrong.
struct Comparison {
  std::string first, second;                                             // what is compared, for people
  std::uint64_t items = 0;                                               // on both sides, with references
  std::uint64_t only_first = 0, only_second = 0;                         // items of one side
  std::uint64_t both_correct = 0, lost = 0, gained = 0, both_wrong = 0;  // lost: only the first was correct
  double difference = 0;                                                 // of the rates, second - first
  std::optional<std::pair<double, double>>
      interval;                      // 95 % of the difference, by paired bootstrap over items
  double p_value = 1;                // exact McNemar test, two-sided
  std::vector<ChangedItem> changed;  // also items without references
};

/// @param first a run's number in `database`, or another database, "file.db" or "file.db:RUN"; likewise
/// `second`
/// @throws DatabaseError, UsageError
Comparison compare(const std::filesystem::path& database, const std::string& first, const std::string& second,
                   const EvalOptions& options);

/// What one side of a comparison names.
struct ComparedSide {
  std::filesystem::path database;
  EvalOptions options;
};
ComparedSide compared_side(const std::filesystem::path& database, const std::string& written,
                           EvalOptions options);

/// Two-sided exact binomial test of `a` against `b` at one half.
double mcnemar_p_value(std::uint64_t a, std::uint64_t b);

std::string to_json(const Comparison& comparison);
/// @param limit changed items that are listed at most
std::string to_text(const Comparison& comparison, std::size_t limit);

}  // namespace mmbatch
