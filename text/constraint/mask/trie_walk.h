#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/constraint/mask/token_set.h"
#include "text/constraint/mask/token_trie.h"

namespace mmbatch {

/// The tokens of a trie whose bytes are all read, from some state on.
/// @param longest bytes of a token
/// @param step (State&, byte) → whether the byte is read; the state is then the one behind it
template <class State, class Step>
TokenSet tokens_along(const TokenTrie& trie, std::size_t vocab, std::size_t longest, const State& start,
                      Step&& step) {
  TokenSet out(vocab);
  std::vector<State> states(longest + 1, start);
  for (std::uint32_t i = 1; i < trie.size();) {
    const TokenTrie::Node& node = trie.node(i);
    State& state = states[node.depth];
    state = states[node.depth - 1u];
    if (!step(state, node.byte)) {
      i = node.end;
      continue;
    }
    for (const std::int32_t token : trie.tokens(node)) out.add(token);
    ++i;
  }
  return out;
}

}  // namespace mmbatch
