#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// Bytes [begin, end) of a text.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A regular expression of a tokenizer.json: Oniguruma's syntax and character classes, matched by PCRE2.
/// Thread-safe; cheap to copy.
class Regex {
 public:
  static constexpr std::size_t kMaxPatternBytes = 64u << 10;

  /// @param where what errors name, such as file and key.
  /// @throws ModelError that names what the expression uses and is not supported.
  Regex(std::string_view pattern, const std::string& where);

  /// Appends all matches from left to right, none of them overlapping. An empty match is left out where the
  /// match before ends.
  /// @param text valid UTF-8.
  /// @throws ItemError when matching takes more steps or memory than allowed.
  void find_all(std::string_view text, std::vector<Span>& matches) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace mmbatch
