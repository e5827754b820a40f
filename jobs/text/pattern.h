#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace mmbatch {

/// A regular expression in the language of Perl (PCRE2), over code points. What a hostile or careless one may
/// cost is bounded: steps and memory. Thread-safe.
class Pattern {
 public:
  /// @param option that it was given to, for messages; empty: none is named
  /// @throws UsageError that says where it is wrong
  explicit Pattern(const std::string& expression, const std::string& option = "");
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  /// The text without what it matches.  @throws UsageError when that takes more steps than are allowed
  std::string without_matches(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mmbatch
