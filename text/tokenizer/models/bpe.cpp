#include "text/tokenizer/models/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/models/byte_characters.h"

namespace mmbatch {

BpeModel::BpeModel(TokenVocabulary vocabulary, MergeTable merges, BpeOptions options)
    : TokenModel(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)) {
  const auto id_of = [&](std::string_view token) {
    const auto id = this->vocabulary().find(token);
    return id ? static_cast<std::int32_t>(*id) : -1;
  };
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string character;
    append_code_point(character_of_byte(static_cast<unsigned char>(byte)), character);
    byte_tokens_[byte] = id_of(fmt::format("<0x{:02X}>", byte));
    byte_characters_[byte] = id_of(character);
  }
  character_merges_.resize(256 * 256);
  for (std::size_t i = 0; i < character_merges_.size(); ++i) {
    const std::int32_t left = byte_characters_[i >> 8], right = byte_characters_[i & 0xFF];
    if (left >= 0 && right >= 0) {
      character_merges_[i] =
          merges_.find(static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(right));
    }
  }
  if (!options_.unk_token.empty()) unk_ = this->vocabulary().find(options_.unk_token);
}

std::uint32_t BpeModel::unknown() const {
  if (!unk_) {
    throw ItemError(
        ErrorCode::unsupported,
        fmt::format("a character is unknown, and so is the tokenizer's unk_token '{}'", options_.unk_token));
  }
  return *unk_;
}

void BpeModel::encode(std::string_view piece, PieceForm form, Ids& ids) const {
  thread_local std::vector<std::uint32_t> symbols;
  thread_local std::string characters;
  symbols.clear();
  const bool bytes = form == PieceForm::bytes;
  const bool decorated = !options_.continuing_subword_prefix.empty() || !options_.end_of_word_suffix.empty();
  bool all_known = bytes && !decorated;
  if (all_known) {
    for (const char c : piece) {
      const std::int32_t id = byte_characters_[static_cast<unsigned char>(c)];
      all_known = all_known && id >= 0;
      symbols.push_back(static_cast<std::uint32_t>(id));
    }
  }
  if (bytes && (!all_known || options_.ignore_merges)) {
    characters.clear();
    append_byte_characters(piece, characters);
  }
  if (options_.ignore_merges) {
    if (const auto whole = vocabulary().find(bytes ? std::string_view(characters) : piece)) {
      ids.push_back(static_cast<std::int32_t>(*whole));
      return;
    }
  }
  if (!all_known) {
    symbols.clear();
    split(bytes ? std::string_view(characters) : piece, symbols);
  }
  if (symbols.size() <= kShort) {
    merge_short(symbols, ids);
  } else {
    merge_long(symbols, ids);
  }
}

/// The characters of a piece as tokens. An unknown token that waits for its neighbours comes behind the bytes
/// of an unknown character between them, as in the library.
void BpeModel::split(std::string_view piece, std::vector<std::uint32_t>& symbols) const {
  std::string text;
  std::optional<std::uint32_t> waiting;
  const auto give_waiting = [&] {
    if (waiting) symbols.push_back(*waiting);
    waiting.reset();
  };
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t begin = at;
    at += std::max<std::size_t>(1, utf8_length(piece.substr(at)));
    text.clear();
    if (begin > 0) text += options_.continuing_subword_prefix;
    text += piece.substr(begin, at - begin);
    if (at == piece.size()) text += options_.end_of_word_suffix;
    if (const auto id = vocabulary().find(text)) {
      give_waiting();
      symbols.push_back(*id);
      continue;
    }
    const auto byte_token = [&](char c) { return byte_tokens_[static_cast<unsigned char>(c)]; };
    if (options_.byte_fallback &&
        std::all_of(text.begin(), text.end(), [&](char c) { return byte_token(c) >= 0; })) {
      for (const char c : text) symbols.push_back(static_cast<std::uint32_t>(byte_token(c)));
      continue;
    }
    if (options_.unk_token.empty()) continue;
    if (!options_.fuse_unk) give_waiting();
    waiting = unknown();
  }
  give_waiting();
}

void BpeModel::merge_short(std::vector<std::uint32_t>& symbols, Ids& ids) const {
  std::size_t count = symbols.size();
  Merge merges[kShort + 1];  // of each symbol with the next one
  for (std::size_t i = 0; i + 1 < count; ++i) merges[i] = merges_.find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == Merge::kNone) break;
    symbols[best] = merges[best].id;
    --count;
    for (std::size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      merges[i] = merges[i + 1];
    }
    if (best > 0) merges[best - 1] = merges_.find(symbols[best - 1], symbols[best]);
    if (best + 1 < count) merges[best] = merges_.find(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<std::ptrdiff_t>(count));
}

/// Symbols as a linked list; their merges in a heap, by rank and then by place. What a merge made stale is
/// told by the rank that its place has now.
void BpeModel::merge_long(const std::vector<std::uint32_t>& symbols, Ids& ids) const {
  struct Node {
    std::uint32_t id, previous, next;
    Merge merge;  // with the next one
  };
  const auto count = static_cast<std::uint32_t>(symbols.size());
  std::vector<Node> nodes(count);
  std::vector<std::uint64_t> heap;
  const auto key = [](std::uint32_t rank, std::uint32_t place) { return std::uint64_t{rank} << 32 | place; };
  for (std::uint32_t i = 0; i < count; ++i) {
    nodes[i] = {symbols[i], i - 1, i + 1, {}};
    if (i + 1 == count) continue;
    nodes[i].merge = merges_.find(symbols[i], symbols[i + 1]);
    if (nodes[i].merge.rank != Merge::kNone) heap.push_back(key(nodes[i].merge.rank, i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto renew = [&](std::uint32_t place) {
    Node& node = nodes[place];
    node.merge = node.next < count ? merges_.find(node.id, nodes[node.next].id) : Merge{};
    if (node.merge.rank == Merge::kNone) return;
    heap.push_back(key(node.merge.rank, place));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const std::uint64_t top = heap.back();
    heap.pop_back();
    const auto place = static_cast<std::uint32_t>(top);
    Node& node = nodes[place];
    if (node.merge.rank != top >> 32) continue;
    Node& gone = nodes[node.next];
    node.id = node.merge.id;
    node.next = gone.next;
    gone.merge = {};
    if (node.next < count) nodes[node.next].previous = place;
    renew(place);
    if (node.previous < count) renew(node.previous);
  }
  for (std::uint32_t i = 0; i < count; i = nodes[i].next)
    ids.push_back(static_cast<std::int32_t>(nodes[i].id));
}

}  // namespace mmbatch
