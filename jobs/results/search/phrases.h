#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "jobs/results/database.h"

namespace mmbatch {

/// The texts that can be searched: prompts and answers, each stored and indexed once as long as it is
/// remembered here; a text that was forgotten meanwhile gets a further row, which finds the same. A long text
/// is found again by its digest, and only its beginning is indexed: however many items have it, it is stored
/// once. Used inside a transaction of the caller. Not thread-safe.
class Phrases {
 public:
  static constexpr std::size_t kLongBytes = 4096;       // from which a text is long
  static constexpr std::size_t kIndexedBytes = 65'536;  // of its beginning

  explicit Phrases(Database& database);
  /// What an item's row holds of its prompt: all of it, or, when it is long, nothing (prompt_sql()).
  static std::string_view in_row(std::string_view text) {
    return text.size() >= kLongBytes ? std::string_view() : text;
  }
  /// The row of the text in `phrases`, made when there is none.
  std::int64_t key_of(const std::string& text);
  /// To be called when the transaction was rolled back: its rows are gone.
  void forget();

 private:
  std::int64_t key_of_long(const std::string& text);
  std::int64_t insert(const std::string& text, const std::string& digest);

  Database& database_;
  Statement insert_, index_, find_long_;
  std::unordered_map<std::string, std::int64_t> known_;
  std::size_t bytes_ = 0;
};

}  // namespace mmbatch
