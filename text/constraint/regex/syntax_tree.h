#pragma once

#include <string_view>
#include <vector>

#include "text/constraint/automaton/code_points.h"
#include "text/constraint/regex/regex.h"

namespace mmbatch {

/// A regular expression, taken apart.
struct RegexTree {
  enum class Kind { characters, sequence, alternatives, repeat, begin, end };
  static constexpr int kNoLimit = -1;

  Kind kind = Kind::sequence;       // an empty sequence is the empty text
  CodePoints characters;            // characters
  std::vector<RegexTree> children;  // sequence, alternatives; repeat: one
  int min = 0;                      // repeat
  int max = kNoLimit;
};

/// @throws RegexError
RegexTree parse_regex(std::string_view pattern, RegexMatch match);

/// The texts of a tree.  @throws ConstraintTooLarge
Dfa compile_tree(const RegexTree& tree, RegexMatch match, Work& work);

/// The characters of a general category, such as L or Lu.
/// @throws RegexError when there is none of this name
CodePoints general_category(std::string_view name);

/// `\d`, `\w`, `\s` and their opposites, by their letter; nothing for another one.
CodePoints character_class(char letter);
/// What `.` matches: anything but the ends of lines; of a whole answer, anything but line feeds.
CodePoints any_but_line_ends(RegexMatch match);

}  // namespace mmbatch
