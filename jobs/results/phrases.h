#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "jobs/results/database.h"

namespace mmbatch {

/// The texts that can be searched: prompts and answers, each stored and indexed once as long as it is
/// remembered here; a text that was forgotten meanwhile gets a further row, which finds the same. Used inside
/// a transaction of the caller. Not thread-safe.
class Phrases {
 public:
  explicit Phrases(Database& database);
  /// The row of the text in `phrases`, made when there is none.
  std::int64_t key_of(const std::string& text);
  /// To be called when the transaction was rolled back: its rows are gone.
  void forget();

 private:
  Database& database_;
  Statement insert_, index_;
  std::unordered_map<std::string, std::int64_t> known_;
  std::size_t bytes_ = 0;
};

}  // namespace mmbatch
