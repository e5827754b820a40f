#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/error.h"

namespace mmbatch {

/// One thing about a schema, a regular expression or a grammar that cannot be enforced.
struct ConstraintProblem {
  std::string pointer;  // JSON pointer of the subschema; empty for the whole
  std::string keyword;  // what it is about; empty where no keyword is
  std::string reason;   // what is wrong, what is supported, what to write instead

  /// `/properties/tags/uniqueItems: not supported (…)`.
  std::string text() const {
    if (keyword.empty()) return pointer.empty() ? reason : pointer + ": " + reason;
    return pointer + "/" + keyword + ": " + reason;
  }
};

/// A constraint that is refused: all that is wrong with it.
class ConstraintError : public std::runtime_error {
 public:
  explicit ConstraintError(std::vector<ConstraintProblem> problems)
      : std::runtime_error(joined(problems)), problems_(std::move(problems)) {}
  explicit ConstraintError(ConstraintProblem problem)
      : ConstraintError(std::vector<ConstraintProblem>{std::move(problem)}) {}

  const std::vector<ConstraintProblem>& problems() const { return problems_; }

 private:
  static std::string joined(const std::vector<ConstraintProblem>& problems) {
    std::string text;
    for (const ConstraintProblem& problem : problems) text += (text.empty() ? "" : "\n") + problem.text();
    return text;
  }

  std::vector<ConstraintProblem> problems_;
};

/// An answer that its grammar reads in too many ways to go on.
struct TooAmbiguous : ItemError {
  using ItemError::ItemError;
};

/// @param most ways that may be kept at once
inline TooAmbiguous too_ambiguous(std::size_t most) {
  return {ErrorCode::unsupported,
          "the grammar or schema is too ambiguous: the answer so far can be read in more than " +
              std::to_string(most) +
              " ways at once, which is the most: give alternatives different beginnings, and say what may be "
              "left out in one place only"};
}

}  // namespace mmbatch
