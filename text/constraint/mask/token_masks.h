#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "text/constraint/closing/least_bytes.h"
#include "text/constraint/grammar/machine.h"
#include "text/constraint/mask/token_bytes.h"
#include "text/constraint/mask/token_set.h"

namespace mmbatch {

/// What may follow in one state.
struct NextTokens {
  TokenSet allowed;  // end tokens left out
  std::vector<std::int32_t>
      forced;  // these and no others, one after the other; `allowed` holds the first only
  bool may_end = false;
  bool only_end = false;
};

/// Which tokens a grammar allows, state by state: the trie of the vocabulary and the automaton are walked
/// together, and what was found is kept for all requests with this grammar. Thread-safe.
class TokenMasks {
 public:
  static constexpr std::size_t kMaxCacheBytes = 64u << 20;
  /// Work of a machine (Machine::work) for one state's tokens.
  static constexpr std::uint64_t kMaxWork = 100'000'000;
  /// Frames that a machine keeps for the answers of a request, about 60 bytes each.
  static constexpr std::size_t kMaxFrames = 1u << 22;

  TokenMasks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenBytes> tokens);

  const std::shared_ptr<const Grammar>& grammar() const { return grammar_; }
  const TokenBytes& tokens() const { return *tokens_; }
  const std::shared_ptr<const TokenBytes>& shared_tokens() const { return tokens_; }

  /// @param machine that made the state; reads this object's grammar.  @throws TooAmbiguous
  std::shared_ptr<const NextTokens> next(Machine& machine, const Machine::State& state, AnswerPlace place);
  /// The tokens allowed before the rule of forced ones narrows them.
  TokenSet unforced(Machine& machine, const Machine::State& state, AnswerPlace place);
  /// The state behind a token; empty when it may not come.  @throws TooAmbiguous
  Machine::State behind(Machine& machine, const Machine::State& state, AnswerPlace place,
                        std::int32_t token) const;

 private:
  /// What a frame allows, and what it takes to find it: counted also where it is known, so that a state is
  /// refused whoever asked before.
  struct FrameTokens {
    TokenSet tokens;
    std::uint64_t work = 0;
  };
  using Mask = std::shared_ptr<const FrameTokens>;

  Mask of_frame(Machine& machine, Machine::FrameId frame);
  TokenSet walked(Machine& machine, Machine::FrameId frame);
  TokenSet inside_string(const Machine::Frame& frame, const StringRule& rule);
  TokenSet inside_bytes(const Machine::Frame& frame, const Dfa& dfa) const;
  void walk(Machine& machine, const TokenTrie& trie, std::uint32_t from, const Machine::State& state,
            TokenSet& out) const;
  bool any_below(Machine& machine, std::uint32_t node, const Machine::State& state,
                 std::uint64_t limit) const;
  void drop_dead_ends(Machine& machine, const Machine::State& state, AnswerPlace place,
                      TokenSet& tokens) const;
  std::string forced_bytes(Machine& machine, Machine::State state) const;
  std::vector<std::int32_t> forced_tokens(Machine& machine, const Machine::State& state) const;

  /// Values by key, the least recently used of which go when they take too much memory.
  template <class Value>
  class Cache {
   public:
    explicit Cache(std::size_t limit) : limit_(limit) {}
    std::shared_ptr<const Value> find(const std::string& key);
    void put(const std::string& key, std::shared_ptr<const Value> value, std::size_t bytes);

   private:
    struct Entry {
      std::string key;
      std::shared_ptr<const Value> value;
      std::size_t bytes;
    };
    std::size_t limit_, bytes_ = 0;
    std::list<Entry> entries_;  // used last first
    std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
  };

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenBytes> tokens_;
  std::shared_ptr<const LeastBytes> least_;  // where there are dead ends
  std::mutex mutex_;                         // of all below, and of the walks
  Cache<FrameTokens> frames_{kMaxCacheBytes / 4};
  Cache<TokenSet> strings_{kMaxCacheBytes / 4};
  Cache<NextTokens> states_{kMaxCacheBytes / 2};
};

}  // namespace mmbatch
