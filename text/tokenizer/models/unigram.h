#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer/models/byte_trie.h"
#include "text/tokenizer/models/token_model.h"

namespace mmbatch {

struct UnigramOptions {
  std::optional<std::uint32_t> unk_id;
  bool byte_fallback = false;
};

/// Of all ways to cut a piece into tokens the one with the highest sum of scores; of equal ones the one whose
/// last token is longest. A character that no token covers scores ten less than the lowest token.
class UnigramModel : public TokenModel {
 public:
  /// @param scores by id, one for each token of the vocabulary.
  UnigramModel(TokenVocabulary vocabulary, std::vector<double> scores, UnigramOptions options);

  void encode(std::string_view piece, PieceForm form, Ids& ids) const override;

 private:
  void encode_characters(std::string_view piece, Ids& ids) const;
  void append(std::string_view text, Ids& ids) const;

  std::vector<double> scores_;
  UnigramOptions options_;
  double unknown_score_ = 0;
  ByteTrie trie_;
  std::array<std::int32_t, 256> byte_tokens_;  // <0x00> to <0xFF>; -1 where missing
};

}  // namespace mmbatch
