#include "text/tokenizer/models/word_models.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/models/byte_characters.h"

namespace mmbatch {
namespace {

std::int32_t unknown_of(const TokenVocabulary& vocabulary, const std::string& unk_token) {
  const auto id = vocabulary.find(unk_token);
  if (!id) {
    throw ItemError(ErrorCode::unsupported,
                    fmt::format("a word is unknown, and so is the tokenizer's unk_token '{}'", unk_token));
  }
  return static_cast<std::int32_t>(*id);
}

/// The piece as characters; `storage` is used where it is of bytes.
std::string_view characters_of(std::string_view piece, PieceForm form, std::string& storage) {
  if (form == PieceForm::characters) return piece;
  append_byte_characters(piece, storage);
  return storage;
}

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

}  // namespace

WordPieceModel::WordPieceModel(TokenVocabulary vocabulary, Options options)
    : TokenModel(std::move(vocabulary)), options_(std::move(options)) {}

void WordPieceModel::encode(std::string_view piece, PieceForm form, Ids& ids) const {
  std::string storage;
  const std::string_view text = characters_of(piece, form, storage);
  const auto characters = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
  const std::size_t before = ids.size();
  if (characters <= options_.max_input_chars_per_word && encode_characters(text, ids)) return;
  ids.resize(before);
  ids.push_back(unknown_of(vocabulary(), options_.unk_token));
}

/// False where a part of the piece has no token.
bool WordPieceModel::encode_characters(std::string_view piece, Ids& ids) const {
  std::string text;
  for (std::size_t begin = 0; begin < piece.size();) {
    text = begin > 0 ? options_.continuing_subword_prefix : std::string();
    const std::size_t prefix = text.size();
    if (prefix > vocabulary().longest()) return false;
    const std::size_t most = std::min(piece.size() - begin, vocabulary().longest() - prefix);
    text += piece.substr(begin, most);
    std::size_t length = most;
    // No token ends within a character.
    const auto inside = [&] {
      return begin + length < piece.size() && !begins_character(piece[begin + length]);
    };
    std::optional<std::uint32_t> found;
    for (; length > 0; --length) {
      if (inside()) continue;
      found = vocabulary().find(std::string_view(text).substr(0, prefix + length));
      if (found) break;
    }
    if (!found) return false;
    ids.push_back(static_cast<std::int32_t>(*found));
    begin += length;
  }
  return true;
}

WordLevelModel::WordLevelModel(TokenVocabulary vocabulary, std::string unk_token)
    : TokenModel(std::move(vocabulary)), unk_token_(std::move(unk_token)) {}

void WordLevelModel::encode(std::string_view piece, PieceForm form, Ids& ids) const {
  std::string storage;
  const auto id = vocabulary().find(characters_of(piece, form, storage));
  ids.push_back(id ? static_cast<std::int32_t>(*id) : unknown_of(vocabulary(), unk_token_));
}

}  // namespace mmbatch
