#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/models/vocabulary.h"

namespace mmbatch {

using Ids = std::vector<std::int32_t>;

/// How a piece is written: as its characters, or as bytes, each of which stands for a character of GPT-2's
/// alphabet (models/byte_characters.h).
enum class PieceForm { characters, bytes };

/// The `model` of a tokenizer.json: what cuts a piece of text into tokens. Const after loading and
/// thread-safe.
class TokenModel {
 public:
  explicit TokenModel(TokenVocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;
  TokenModel(const TokenModel&) = delete;
  TokenModel& operator=(const TokenModel&) = delete;

  /// Appends the ids of a piece.
  /// @param piece not empty; valid UTF-8, unless it is of bytes.
  /// @throws ItemError when the model needs an unknown token and has none.
  virtual void encode(std::string_view piece, PieceForm form, Ids& ids) const = 0;

  const TokenVocabulary& vocabulary() const { return vocabulary_; }

 private:
  TokenVocabulary vocabulary_;
};

}  // namespace mmbatch
