#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/sentencepiece/sentencepiece_model.h"

namespace mmbatch {

/// One id of a vocabulary, for decoding.
struct Token {
  std::string text;
  PieceKind kind = PieceKind::normal;
  std::uint8_t byte = 0;    // of a byte piece
  bool piece = false;       // of the sentencepiece vocabulary
  bool added = false;       // listed in the tokenizer's files
  bool special = false;     // left out of decoded text
  bool standalone = false;  // cuts the text around it into runs that are decoded for themselves
};

/// How pieces become text again. Two published kinds: one takes off the dummy prefix of every run, the other
/// puts the pieces together as they are.
struct DecodeRules {
  bool verbatim = false;               // the second kind
  bool add_prefix_space = true;        // first kind: the first token of a run loses one space
  bool legacy = false;                 // first kind: a space before a kept special token
  bool spaces_between = false;         // a space between runs and standalone tokens
  bool strips_first_space = false;     // the library's own: of a run's first visible piece
  bool strips_leading_spaces = false;  // … or of all at a run's beginning
  std::string unk_surface;
};

/// The vocabulary of a tokenizer: sentencepiece's ids, and the added ones behind or among them. Const after
/// load.
struct TokenTable {
  std::vector<Token> pieces;                      // by id
  std::unordered_map<std::int32_t, Token> added;  // ids that are not pieces
  const SentencePieceModel* model = nullptr;      // finds pieces; lives as long as the table
  DecodeRules rules;

  /// nullptr when no token has this id.
  const Token* find(std::int32_t id) const;
};

}  // namespace mmbatch
