#include <fmt/format.h>

#include "text/constraint/automaton/nfa.h"
#include "text/constraint/regex/regex.h"
#include "text/constraint/regex/syntax_tree.h"

namespace mmbatch {
namespace {

using Kind = RegexTree::Kind;

/// Builds Thompson's automaton of a tree.
class Builder {
 public:
  explicit Builder(Work& work) : work_(work) {}

  Nfa& nfa() { return nfa_; }

  /// @return the state behind `tree` when it begins in `from`
  Nfa::State add(const RegexTree& tree, Nfa::State from) {
    work_.spend(1);
    switch (tree.kind) {
      case Kind::characters: {
        const Nfa::State to = nfa_.add();
        nfa_.characters(from, tree.characters, to);
        return to;
      }
      case Kind::sequence:
        for (const RegexTree& child : tree.children) from = add(child, from);
        return from;
      case Kind::alternatives: {
        const Nfa::State to = nfa_.add();
        for (const RegexTree& child : tree.children) {
          const Nfa::State begin = nfa_.add();
          nfa_.skip(from, begin);
          nfa_.skip(add(child, begin), to);
        }
        return to;
      }
      case Kind::repeat:
        return repeat(tree, from);
      case Kind::begin:
      case Kind::end: {
        const Nfa::State to = nfa_.add();
        nfa_.skip(from, to, tree.kind == Kind::begin ? Nfa::When::at_begin : Nfa::When::at_end);
        return to;
      }
    }
    return from;
  }

 private:
  Nfa::State repeat(const RegexTree& tree, Nfa::State from) {
    const RegexTree& child = tree.children.front();
    for (int i = 0; i < tree.min; ++i) from = add(child, from);
    if (tree.max == RegexTree::kNoLimit) {
      const Nfa::State loop = nfa_.add(), to = nfa_.add();
      nfa_.skip(from, loop);
      nfa_.skip(add(child, loop), loop);
      nfa_.skip(loop, to);
      return to;
    }
    const Nfa::State to = nfa_.add();
    for (int i = tree.min; i < tree.max; ++i) {
      nfa_.skip(from, to);
      from = add(child, from);
    }
    nfa_.skip(from, to);
    return to;
  }

  Work& work_;
  Nfa nfa_;
};

}  // namespace

Dfa compile_regex(std::string_view pattern, RegexMatch match, Work& work) {
  return compile_tree(parse_regex(pattern, match), match, work);
}

Dfa compile_tree(const RegexTree& tree, RegexMatch match, Work& work) {
  Builder builder(work);
  Nfa& nfa = builder.nfa();
  const Nfa::State start = nfa.add(), body = nfa.add(), accept = nfa.add();
  nfa.skip(start, body);
  if (match == RegexMatch::search) {
    const Nfa::State before = nfa.add();
    nfa.characters(start, CodePoints::all(), before);
    nfa.characters(before, CodePoints::all(), before);
    nfa.skip(before, body);
    nfa.characters(accept, CodePoints::all(), accept);
  }
  nfa.skip(builder.add(tree, body), accept);
  return nfa.determinise(start, accept, work);
}

}  // namespace mmbatch
