#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace mmbatch {

/// A set of tokens of a vocabulary.
class TokenMask {
 public:
  explicit TokenMask(std::size_t vocab) : words_((vocab + 63) / 64), vocab_(vocab) {}

  void add(std::int32_t token) {
    const auto t = static_cast<std::size_t>(token);
    if (token >= 0 && t < vocab_) words_[t / 64] |= std::uint64_t{1} << t % 64;
  }
  /// Adds the tokens of a bit set, 64 a word.
  void add_words(std::span<const std::uint64_t> words) {
    for (std::size_t i = 0; i < std::min(words.size(), words_.size()); ++i) words_[i] |= words[i];
  }
  std::span<const std::uint64_t> words() const { return words_; }
  bool has(std::size_t token) const { return (words_[token / 64] >> token % 64 & 1) != 0; }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t vocab_;
};

/// Which answers may come, token by token. Const and shared by all sequences of a request, each of which has
/// a state of its own: a number, so that sequences fork and are compared without asking. An ItemError of one
/// of its functions is the request's error.
class TokenConstraint {
 public:
  using State = std::size_t;

  virtual ~TokenConstraint() = default;
  virtual State start() const = 0;
  /// Whether any token may come next; allowed() is then not asked.
  virtual bool is_free(State) const { return false; }
  /// Adds the tokens that may come next, those that end the answer included.
  virtual void allowed(State state, TokenMask& mask) const = 0;
  /// The state behind a token; none when it may not come.
  virtual std::optional<State> advance(State state, std::int32_t token) const = 0;
  /// How many of these may come, one after the other, from the first on: guesses, most of which are wrong.
  /// They cost nobody an answer, whatever it takes to read them.
  virtual std::size_t fits(State state, std::span<const std::int32_t> tokens) const;
  /// Whether nothing may come but the end: the answer ends here, and no end token is computed.
  virtual bool complete(State) const { return false; }
  /// Tokens that are the only ones that may come, one after the other: they can be computed in one step.
  virtual std::vector<std::int32_t> forced(State) const { return {}; }
  /// Whether tokens are kept back so that every answer comes to its end; the two below are asked only then.
  virtual bool keeps_room() const { return false; }
  /// Whether an answer can come to its end within so many tokens, its end token left out.
  virtual bool has_room(State, std::size_t) const { return true; }
  /// Adds those of the tokens that may come next behind which there is still room, with `left` tokens to
  /// come, that one included. Asked only where there is room before.
  virtual void allowed_within(State state, std::size_t, TokenMask& mask) const { allowed(state, mask); }

 protected:
  /// As advance(); none also where that is an ItemError.
  std::optional<State> advance_guess(State state, std::int32_t token) const;
};

/// Answers out of a list: a trie over their tokens, end token included. States are its nodes.
class ChoiceTrie : public TokenConstraint {
 public:
  explicit ChoiceTrie(std::span<const std::vector<std::int32_t>> choices);

  State start() const override { return 0; }
  void allowed(State state, TokenMask& mask) const override;
  std::optional<State> advance(State state, std::int32_t token) const override;
  std::size_t nodes() const { return nodes_.size(); }
  /// The nodes behind one, by token.
  const std::map<std::int32_t, State>& children(State node) const { return nodes_[node]; }

 private:
  std::vector<std::map<std::int32_t, State>> nodes_;  // of each node: token, next node
};

/// A token that the constraint does not allow becomes -infinity.
/// @return whether any token is left
bool constrain_scores(const TokenConstraint& constraint, TokenConstraint::State state,
                      std::span<float> scores);
/// As above, for tokens that leave no room for the answer's end.
bool constrain_scores_within(const TokenConstraint& constraint, TokenConstraint::State state,
                             std::size_t left, std::span<float> scores);
/// Whether an answer that had room to come to its end has none left behind a token.
bool takes_the_room(const TokenConstraint& constraint, TokenConstraint::State state, std::size_t left,
                    std::int32_t token);

/// Cuts guesses behind the last one that the constraint allows.
void constrain_draft(const TokenConstraint& constraint, TokenConstraint::State state,
                     std::vector<std::int32_t>& draft);

}  // namespace mmbatch
