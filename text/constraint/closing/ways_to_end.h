#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "text/constraint/closing/least_bytes.h"
#include "text/constraint/mask/token_bytes.h"

namespace mmbatch {

/// Whether tokens of a vocabulary spell some way to an answer's end: where words stand apart, some texts have
/// no tokens, and an answer that begins as they do would have to stop in the middle. Frames of the machine
/// are kept as long as this.
class WaysToEnd {
 public:
  /// All must outlive it.
  WaysToEnd(Machine& machine, const LeastBytes& least, const TokenBytes& tokens);

  /// From a state behind an answer's first token. No is certain; yes may be that it takes too long to find
  /// out.
  bool any_from(const Machine::State& state);

 private:
  /// A state that a search has come to, and from where.
  struct Place {
    Machine::State state;
    std::size_t before = 0;
  };

  bool search(const Machine::State& from);
  bool leads_to_end(std::size_t place);
  bool goes_on();
  void keep_way(std::size_t place);
  std::uint64_t work() const { return machine_.work() + nodes_; }

  Machine& machine_;
  const LeastBytes& least_;
  const TokenBytes& tokens_;
  std::vector<Machine::State> on_the_way_;  // by bytes of a token
  std::map<Machine::State, bool> known_;    // whether there is a way
  std::uint64_t nodes_ = 0;                 // of the trie, that were visited
  std::uint64_t work_begin_;
  std::size_t frames_begin_;

  // Of the search under way:
  std::uint64_t search_begin_ = 0;  // of work()
  bool gave_up_ = false;
  std::vector<Place> places_;
  std::set<Machine::State> met_;
  std::vector<std::pair<LeastBytes::Count, std::size_t>> open_;  // a heap: bytes to an end, place
};

}  // namespace mmbatch
