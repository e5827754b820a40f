#pragma once

#include <cstdint>
#include <vector>

#include "text/constraint/automaton/code_points.h"
#include "text/constraint/automaton/dfa.h"

namespace mmbatch {

/// A nondeterministic automaton over bytes, with edges that may be taken at the beginning or at the end of
/// the text only: the anchors of regular expressions.
class Nfa {
 public:
  using State = std::uint32_t;
  enum class When { always, at_begin, at_end };

  State add();
  void edge(State from, std::uint8_t low, std::uint8_t high, State to) {
    bytes_[from].push_back({low, high, to});
  }
  void skip(State from, State to, When when = When::always) { skips_[from].push_back({when, to}); }
  /// Edges for one character of a set.
  void characters(State from, const CodePoints& set, State to);
  std::size_t states() const { return bytes_.size(); }

  /// The same language.  @throws ConstraintTooLarge
  Dfa determinise(State start, State accept, Work& work) const;

 private:
  struct ByteEdge {
    std::uint8_t low, high;
    State to;
  };
  struct Skip {
    When when;
    State to;
  };
  class Subsets;

  std::vector<std::vector<ByteEdge>> bytes_;
  std::vector<std::vector<Skip>> skips_;
};

/// All texts of well-formed UTF-8.
Dfa any_text(Work& work);

}  // namespace mmbatch
