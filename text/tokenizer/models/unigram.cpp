#include "text/tokenizer/models/unigram.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/models/byte_characters.h"

namespace mmbatch {
namespace {

constexpr double kUnknownPenalty = 10;

}  // namespace

UnigramModel::UnigramModel(TokenVocabulary vocabulary, std::vector<double> scores, UnigramOptions options)
    : TokenModel(std::move(vocabulary)), scores_(std::move(scores)), options_(options) {
  double lowest = scores_.empty() ? 0 : scores_[0];
  for (const double score : scores_) lowest = std::min(lowest, score);
  unknown_score_ = lowest - kUnknownPenalty;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto id = this->vocabulary().find(fmt::format("<0x{:02X}>", byte));
    byte_tokens_[byte] = id ? static_cast<std::int32_t>(*id) : -1;
  }
  std::vector<ByteTrie::Entry> tokens;
  tokens.reserve(this->vocabulary().size());
  this->vocabulary().each([&](std::string_view token, std::uint32_t id) {
    if (!token.empty()) tokens.emplace_back(token, static_cast<std::int32_t>(id));
  });
  trie_ = ByteTrie(std::move(tokens));
}

void UnigramModel::encode(std::string_view piece, PieceForm form, Ids& ids) const {
  if (form == PieceForm::characters) {
    encode_characters(piece, ids);
    return;
  }
  std::string characters;
  append_byte_characters(piece, characters);
  encode_characters(characters, ids);
}

void UnigramModel::encode_characters(std::string_view piece, Ids& ids) const {
  struct Best {
    double score = 0;
    std::uint32_t begin = 0;
    std::int32_t id = -1;  // of the token that ends here; -1 while none does
  };
  thread_local std::vector<Best> best;
  best.assign(piece.size() + 1, Best{});
  const auto offer = [&](std::size_t end, double score, std::size_t begin, std::int32_t id) {
    Best& at = best[end];
    if (at.id >= 0 && score <= at.score) return;
    at = {score, static_cast<std::uint32_t>(begin), id};
  };
  for (std::size_t begin = 0; begin < piece.size();) {
    const double before = best[begin].score;
    const std::size_t one = std::max<std::size_t>(1, utf8_length(piece.substr(begin)));
    bool single = false;
    std::uint32_t node = ByteTrie::kRoot;
    for (std::size_t end = begin; end < piece.size();) {
      node = trie_.child(node, static_cast<unsigned char>(piece[end]));
      if (node == ByteTrie::kRoot) break;
      ++end;
      const std::int32_t id = trie_.value(node);
      if (id < 0) continue;
      offer(end, scores_[static_cast<std::size_t>(id)] + before, begin, id);
      single = single || end - begin == one;
    }
    if (!single) {
      if (!options_.unk_id) {
        throw ItemError(ErrorCode::unsupported, "a character is unknown, and the tokenizer has no unk_id");
      }
      offer(begin + one, unknown_score_ + before, begin, static_cast<std::int32_t>(*options_.unk_id));
    }
    begin += one;
  }
  // From the end to the beginning; unknown neighbours are one.
  std::vector<std::string_view> parts;
  bool open = false;
  for (std::size_t end = piece.size(); end > 0;) {
    const Best& last = best[end];
    const bool unknown = options_.unk_id && last.id == static_cast<std::int32_t>(*options_.unk_id);
    const std::string_view part = piece.substr(last.begin, end - last.begin);
    if (unknown && open) {
      parts.back() = piece.substr(last.begin, part.size() + parts.back().size());
    } else {
      parts.push_back(part);
    }
    open = unknown;
    end = last.begin;
  }
  for (std::size_t i = parts.size(); i > 0; --i) append(parts[i - 1], ids);
}

void UnigramModel::append(std::string_view text, Ids& ids) const {
  if (const auto id = vocabulary().find(text)) {
    ids.push_back(static_cast<std::int32_t>(*id));
    return;
  }
  const auto byte_token = [&](char c) { return byte_tokens_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback &&
      std::all_of(text.begin(), text.end(), [&](char c) { return byte_token(c) >= 0; })) {
    for (const char c : text) ids.push_back(byte_token(c));
    return;
  }
  ids.push_back(static_cast<std::int32_t>(*options_.unk_id));
}

}  // namespace mmbatch
