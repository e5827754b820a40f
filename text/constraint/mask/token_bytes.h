#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/constraint/automaton/dfa.h"
#include "text/constraint/mask/token_set.h"
#include "text/constraint/mask/token_trie.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// Where an answer stands: some decoders drop a space that it begins with.
enum class AnswerPlace { beginning, behind };

/// The tokens of a vocabulary as bytes, in the order in which automata read them. Const, shared by all
/// constraints of a model.
class TokenBytes {
 public:
  explicit TokenBytes(std::shared_ptr<const Tokenizer> tokenizer);

  std::size_t vocab() const { return bytes_.size(); }
  /// Empty for tokens that no answer under a constraint has.
  const std::string& of(std::int32_t id) const;
  /// What a token adds at the beginning of an answer; empty for those that no answer begins with: the space
  /// that is dropped there, and pieces of words that keep their mark.
  std::string_view at_beginning(std::int32_t id) const;
  /// Of tokens with the same bytes, the first that adds so many of them at the beginning of an answer.
  std::optional<std::int32_t> beginning(std::span<const std::int32_t> same, std::size_t bytes) const;
  /// Bytes of the longest.
  std::size_t longest() const { return longest_; }
  /// Those tokens of a set in which at most so many characters begin.
  TokenSet with_characters(TokenSet tokens, std::uint32_t most) const;
  /// Whether words have spaces between them, so that there are texts that no tokens spell.
  bool spaces_words() const { return spaces_words_; }
  /// Whether decoding drops a space that an answer begins with.
  bool drops_first_space() const { return drops_first_space_; }

  const TokenTrie& all() const { return all_; }
  /// Those with a quote or a backslash: they may end a string.
  const TokenTrie& quoting() const { return quoting_; }
  /// Any text at all, and the tokens without a quote, backslash or control character that a JSON string of it
  /// may go on with between two characters.
  const Dfa& any_text() const { return any_text_; }
  const TokenSet& within_text() const { return within_text_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<std::string> bytes_;
  // Tokens of at most 0, 1, 2 … characters; of those with more there are few: they are a list.
  static constexpr std::size_t kShort = 16;
  std::vector<TokenSet> short_;
  std::vector<std::pair<std::int32_t, std::size_t>> long_;  // token, characters
  std::size_t longest_ = 0;
  bool spaces_words_ = false, drops_first_space_ = false;
  TokenSet never_first_;
  TokenTrie all_, quoting_;
  Dfa any_text_;
  TokenSet within_text_;
};

}  // namespace mmbatch
