#include "text/tokenizer/json/added_tokens.h"

#include <algorithm>

#include "engine/base/text/utf8.h"
#include "text/tokenizer/unicode/characters.h"

namespace mmbatch {
namespace {

/// Where the last character of `text` begins.
std::size_t last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  std::size_t at = last_character(text);
  return is_word_character(next_code_point(text, at));
}

bool begins_with_word(std::string_view text) {
  std::size_t at = 0;
  return !text.empty() && is_word_character(next_code_point(text, at));
}

std::size_t without_space_at_end(std::string_view text) {
  while (!text.empty()) {
    const std::size_t begin = last_character(text);
    std::size_t at = begin;
    if (!is_white_space(next_code_point(text, at))) break;
    text.remove_suffix(text.size() - begin);
  }
  return text.size();
}

std::size_t space_at_begin(std::string_view text) {
  std::size_t space = 0;
  for (std::size_t at = 0; at < text.size(); space = at) {
    if (!is_white_space(next_code_point(text, at))) break;
  }
  return space;
}

}  // namespace

void AddedTokens::add(JsonAddedToken token, const TokenVocabulary& vocabulary) {
  if (token.content.empty()) return;
  if (token.special) special_[token.content] = true;
  const auto known = by_content_.find(token.content);
  if (known != by_content_.end()) {
    tokens_[known->second] = std::move(token);
    return;
  }
  const auto in_vocabulary = vocabulary.find(token.content);
  const auto size = static_cast<std::int32_t>(vocabulary.size());
  const std::int32_t id = in_vocabulary ? static_cast<std::int32_t>(*in_vocabulary) : std::max(size, id_end_);
  by_content_.emplace(token.content, tokens_.size());
  by_id_[id] = tokens_.size();
  id_end_ = std::max(id_end_, id + 1);
  tokens_.push_back(std::move(token));
  ids_.push_back(id);
}

void AddedTokens::mark(const std::string& content) {
  const auto known = by_content_.find(content);
  if (known == by_content_.end()) return;
  tokens_[known->second].special = true;
  special_[content] = true;
}

void AddedTokens::build(const std::function<std::string(const std::string&)>& normalize) {
  texts_.resize(tokens_.size());
  std::vector<ByteTrie::Entry> entries[2];
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const bool normalized = tokens_[i].normalized;
    texts_[i] = normalized ? normalize(tokens_[i].content) : tokens_[i].content;
    if (!texts_[i].empty()) entries[normalized ? 1 : 0].emplace_back(texts_[i], static_cast<std::int32_t>(i));
  }
  for (std::size_t stage = 0; stage < 2; ++stage) {
    Finder& finder = finders_[stage];
    finder.empty = entries[stage].empty();
    for (const auto& [content, token] : entries[stage])
      finder.first.set(static_cast<unsigned char>(content[0]));
    finder.trie = ByteTrie(std::move(entries[stage]));
  }
}

std::optional<AddedTokens::Match> AddedTokens::find_match(const Finder& finder, std::string_view text,
                                                          std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!finder.first[static_cast<unsigned char>(text[begin])]) continue;
    std::uint32_t node = ByteTrie::kRoot;
    std::optional<Match> longest;
    for (std::size_t at = begin; at < text.size();) {
      node = finder.trie.child(node, static_cast<unsigned char>(text[at]));
      if (node == ByteTrie::kRoot) break;
      ++at;
      const std::int32_t token = finder.trie.value(node);
      if (token >= 0) longest = Match{begin, at, static_cast<std::size_t>(token)};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

void AddedTokens::split(std::string_view text, Stage stage, std::vector<TextSegment>& segments) const {
  const Finder& finder = finders_[static_cast<std::size_t>(stage)];
  std::size_t done = 0;
  if (!finder.empty) {
    std::size_t from = 0;
    while (const auto match = find_match(finder, text, from)) {
      from = match->end;
      const JsonAddedToken& token = tokens_[match->token];
      std::size_t begin = match->begin, end = match->end;
      if (token.single_word && (ends_with_word(text.substr(0, begin)) || begins_with_word(text.substr(end))))
        continue;
      if (token.lstrip) begin = std::max(without_space_at_end(text.substr(0, begin)), done);
      if (token.rstrip) end += space_at_begin(text.substr(end));
      if (done < begin) segments.push_back({done, begin, -1});
      segments.push_back({begin, end, ids_[match->token]});
      done = end;
    }
  }
  if (done < text.size()) segments.push_back({done, text.size(), -1});
}

std::optional<std::int32_t> AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  if (found == by_content_.end()) return std::nullopt;
  return ids_[found->second];
}

const std::string* AddedTokens::text(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &texts_[found->second];
}

bool AddedTokens::is_special(std::string_view content) const {
  return special_.contains(std::string(content));
}

}  // namespace mmbatch
