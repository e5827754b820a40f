#pragma once

#include <string>
#include <string_view>

struct sqlite3;

namespace mmbatch {

/// Finds a part in many texts; upper and lower case are the same in every script. Not thread-safe.
class TextFinder {
 public:
  explicit TextFinder(std::string_view part);
  /// Whether the part is somewhere in the text; an empty part is in every text.
  bool is_in(std::string_view text);

 private:
  std::string part_;     // in lower case
  std::string lowered_;  // the text last looked at; kept for its memory
};

/// Gives a connection the SQL function contains_text(text, part), which is 1 where TextFinder finds the part;
/// 0 for NULL.
void add_contains_text(sqlite3* database);

}  // namespace mmbatch
