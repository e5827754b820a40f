#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/config.h"
#include "text/tokenizer/unicode/regex.h"

namespace mmbatch {

/// The `pattern` of a component: {"String": …}, taken literally, or {"Regex": …}.
class TextPattern {
 public:
  /// @throws ModelError
  TextPattern(const Config& component, const std::string& key);

  /// Appends all matches, as Regex::find_all() does.
  void find_all(std::string_view text, std::vector<Span>& matches) const;

 private:
  std::string literal_;
  std::optional<Regex> regex_;
};

/// `text` with every match of a pattern replaced.
std::string replace_matches(std::string_view text, const TextPattern& pattern, std::string_view content);

}  // namespace mmbatch
