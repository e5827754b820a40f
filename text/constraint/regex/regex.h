#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "text/constraint/automaton/dfa.h"

namespace mmbatch {

/// What a regular expression says that cannot be enforced, or that is not one.
struct RegexError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where a match may lie: anywhere in the text, as JSON Schema's `pattern`, or all of it. Of a whole answer
/// `.` matches all but line feeds, as Python's, Rust's and Perl's engines take it; elsewhere all but ECMA's
/// four ends of lines.
enum class RegexMatch { search, whole };

/// The texts (UTF-8) that a regular expression matches. The subset of ECMA 262: literals, `.`, classes,
/// `\d \w \s` and their opposites, `\t \n \r \f \v \0 \xHH \uHHHH \u{H}`, escaped punctuation, groups, `|`,
/// quantifiers (lazy ones match the same), `^` at the beginning and `$` at the end of the whole or of a
/// branch, `\p{…}` with general categories.
/// @throws RegexError, ConstraintTooLarge
Dfa compile_regex(std::string_view pattern, RegexMatch match, Work& work);

}  // namespace mmbatch
