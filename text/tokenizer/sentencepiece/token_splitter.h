#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mmbatch {

/// A token that is matched in the text before segmentation. Fields as in tokenizer_config.json.
struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // … after it
  bool single_word = false;  // only where no other character than a space touches it
  bool normalized = true;    // matched in lower-cased text, where text is lower-cased
  bool special = false;
};

/// A part of a text: an added token, or text to segment.
struct TextPart {
  std::string text;
  const AddedToken* token = nullptr;
};

/// Cuts a text at its added tokens: at every position the longest one that begins there. Thread-safe.
/// Rules: PreTrainedTokenizer.tokenize and Trie.split of transformers.
class TokenSplitter {
 public:
  static constexpr std::size_t kMaxContentBytes = 1024;

  /// @param tokens contents are not empty, at most kMaxContentBytes long and differ from each other.
  explicit TokenSplitter(std::vector<AddedToken> tokens);
  TokenSplitter(const TokenSplitter&) = delete;
  TokenSplitter& operator=(const TokenSplitter&) = delete;

  /// The parts of `text` in their order; no text part is empty.
  std::vector<TextPart> split(std::string_view text) const;

  /// nullptr when no added token has this content.
  const AddedToken* find(std::string_view content) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  const AddedToken* longest_at(std::string_view text) const;
  std::vector<TextPart> cut(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string_view, const AddedToken*> by_content_;
  // A trie over bytes: (node << 8 | byte) → node, and the token that ends at a node.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::vector<const AddedToken*> ends_;
};

}  // namespace mmbatch
