#pragma once

#include <cstdint>
#include <vector>

#include "text/constraint/grammar/machine.h"
#include "text/constraint/mask/token_trie.h"

namespace mmbatch {

/// Visits the states behind the tokens of a trie that a machine reads, and keeps their frames.
/// @param from the node behind whose bytes the state reads  @param states room for those on the way, by depth
/// @param visit (node, state) → whether to go on  @return false where visit() ended it
template <class Visit>
bool visit_token_states(Machine& machine, const TokenTrie& trie, std::uint32_t from,
                        const Machine::State& state, std::vector<Machine::State>& states, Visit&& visit) {
  const std::uint32_t end = from == 0 ? static_cast<std::uint32_t>(trie.size()) : trie.node(from).end;
  states[trie.node(from).depth] = state;
  for (std::uint32_t i = from + 1; i < end;) {
    const TokenTrie::Node& node = trie.node(i);
    Machine::State& here = states[node.depth];
    machine.step(states[node.depth - 1u], node.byte, here);
    if (here.empty()) {
      i = node.end;
      continue;
    }
    ++i;
    if (!visit(node, here)) return false;
  }
  return true;
}

}  // namespace mmbatch
