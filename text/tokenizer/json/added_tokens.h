#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/models/byte_trie.h"
#include "text/tokenizer/models/vocabulary.h"

namespace mmbatch {

/// A token that is found in the text before it is cut into pieces. Fields as in tokenizer.json.
struct JsonAddedToken {
  std::string content;
  bool single_word = false;  // only where no word goes on at its ends
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // … behind it
  bool normalized = true;    // found in the normalized text, and there as its own normalized content
  bool special = false;      // left out of decoded text on demand

  bool operator==(const JsonAddedToken&) const = default;
};

/// A part of a text: an added token, or text.
struct TextSegment {
  std::size_t begin = 0, end = 0;
  std::int32_t id = -1;  // of the added token; -1 for text
};

/// The added tokens of a tokenizer, their ids and how they are found. As in the library, a token that the
/// vocabulary has keeps its id there, and any other gets the next free one, whatever the file says.
class AddedTokens {
 public:
  static constexpr std::size_t kMaxContentBytes = 4096;
  static constexpr std::size_t kMaxTokens = 1 << 20;

  /// A token whose content is there already takes its place; one that is the same changes nothing.
  void add(JsonAddedToken token, const TokenVocabulary& vocabulary);
  /// That a token which is there is special, whatever it was added as.
  void mark(const std::string& content);
  /// That a token is not special, until it is added as one again.
  void unmark(const std::string& content) { special_.erase(content); }
  /// To be called once after the last add().
  /// @param normalize what the tokenizer's normalizer makes of a text.
  void build(const std::function<std::string(const std::string&)>& normalize);

  enum class Stage { raw, normalized };  // of the text: tokens are found in one of both
  /// The parts of a text in their order; no part is empty.
  void split(std::string_view text, Stage stage, std::vector<TextSegment>& segments) const;

  std::optional<std::int32_t> find(std::string_view content) const;
  /// The text of a token by its id, after build(): as it is found, so of a normalized token the normalized
  /// content. nullptr when no added token has this id.
  const std::string* text(std::int32_t id) const;
  /// Whether a special token has this content. As in the library, one whose text() differs from it is left
  /// out of no decoded text.
  bool is_special(std::string_view content) const;
  std::int32_t id_end() const { return id_end_; }
  const std::vector<JsonAddedToken>& all() const { return tokens_; }

 private:
  struct Finder {
    ByteTrie trie;  // values are places in tokens_
    std::bitset<256> first;
    bool empty = true;
  };
  struct Match {
    std::size_t begin, end, token;
  };

  /// The longest token at the first place where one begins.
  std::optional<Match> find_match(const Finder& finder, std::string_view text, std::size_t from) const;

  std::vector<JsonAddedToken> tokens_;
  std::vector<std::int32_t> ids_;                            // of tokens_
  std::vector<std::string> texts_;                           // of tokens_, as they are found
  std::unordered_map<std::string, std::size_t> by_content_;  // places in tokens_
  std::unordered_map<std::int32_t, std::size_t> by_id_;
  std::unordered_map<std::string, bool> special_;
  std::int32_t id_end_ = 0;  // one more than the highest
  Finder finders_[2];        // by Stage
};

}  // namespace mmbatch
