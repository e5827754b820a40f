#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/models/merge_table.h"
#include "text/tokenizer/models/token_model.h"

namespace mmbatch {

struct BpeOptions {
  std::string unk_token;                  // empty: unknown characters are left out
  std::string continuing_subword_prefix;  // before every character of a piece but the first
  std::string end_of_word_suffix;         // behind the last character of a piece
  bool fuse_unk = false;                  // unknown neighbours are one unknown token
  bool byte_fallback = false;  // an unknown character becomes the tokens of its bytes, <0x00> to <0xFF>
  bool ignore_merges = false;  // a piece that is a token is that token, whatever its merges say
};

/// Byte-pair encoding: characters, merged two by two, the lowest rank first and of equal ones the leftmost. A
/// piece may be a whole text: the time is n log n.
class BpeModel : public TokenModel {
 public:
  BpeModel(TokenVocabulary vocabulary, MergeTable merges, BpeOptions options);

  void encode(std::string_view piece, PieceForm form, Ids& ids) const override;

 private:
  static constexpr std::size_t kShort = 32;  // symbols that are merged by looking at all of them each time

  void split(std::string_view piece, std::vector<std::uint32_t>& symbols) const;
  void merge_short(std::vector<std::uint32_t>& symbols, Ids& ids) const;
  void merge_long(const std::vector<std::uint32_t>& symbols, Ids& ids) const;
  std::uint32_t unknown() const;

  MergeTable merges_;
  BpeOptions options_;
  std::optional<std::uint32_t> unk_;
  std::array<std::int32_t, 256> byte_tokens_;      // <0x00> to <0xFF>; -1 where missing
  std::array<std::int32_t, 256> byte_characters_;  // the tokens of the bytes' characters; -1 where missing
  std::vector<Merge> character_merges_;            // of two bytes' characters: the first look at every pair
};

}  // namespace mmbatch
