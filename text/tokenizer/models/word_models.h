#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/tokenizer/models/token_model.h"

namespace mmbatch {

/// The longest token that a piece begins with, then the longest that goes on with a prefix before it, to the
/// end; where that leads nowhere, the unknown token alone.
class WordPieceModel : public TokenModel {
 public:
  struct Options {
    std::string unk_token;
    std::string continuing_subword_prefix;
    std::size_t max_input_chars_per_word = 100;  // a longer piece is unknown
  };

  WordPieceModel(TokenVocabulary vocabulary, Options options);

  void encode(std::string_view piece, PieceForm form, Ids& ids) const override;

 private:
  bool encode_characters(std::string_view piece, Ids& ids) const;

  Options options_;
};

/// Every piece is one token.
class WordLevelModel : public TokenModel {
 public:
  WordLevelModel(TokenVocabulary vocabulary, std::string unk_token);

  void encode(std::string_view piece, PieceForm form, Ids& ids) const override;

 private:
  std::string unk_token_;
};

}  // namespace mmbatch
