#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/constraint/automaton/code_points.h"
#include "text/constraint/automaton/work.h"
#include "text/constraint/grammar/grammar.h"

namespace mmbatch {

/// A part of a grammar as llama.cpp writes it.
struct GbnfExpression {
  enum class Kind { characters, rule, sequence, alternatives, repeat };
  static constexpr int kNoLimit = -1;

  Kind kind = Kind::sequence;
  CodePoints characters;
  std::size_t rule = 0;  // the rule that is meant
  std::vector<GbnfExpression> children;
  int min = 0;  // repeat
  int max = kNoLimit;
};

struct GbnfRule {
  std::string name;
  GbnfExpression expression;
  bool defined = false;
};

/// The rules of a text, in the order in which they are first named.  @throws ConstraintError with the line
std::vector<GbnfRule> parse_gbnf(std::string_view text);

/// The texts of a grammar's rule `root`: `name ::= …` with literals, classes, `.`, groups, `|`, `? * + {m,n}`
/// and comments. Left recursion, loops over what may be empty, and rules that are not defined are refused.
/// @throws ConstraintError, ConstraintTooLarge
std::shared_ptr<const Grammar> compile_gbnf(std::string_view text, Work& work);

}  // namespace mmbatch
