#include "text/tokenizer/sentencepiece/token_splitter.h"

#include "engine/base/text/utf8.h"

namespace mmbatch {
namespace {

std::uint64_t edge(std::uint32_t node, char byte) {
  return std::uint64_t{node} << 8 | static_cast<std::uint8_t>(byte);
}

void add(std::vector<TextPart>& parts, std::string_view text) {
  if (!text.empty()) parts.push_back({std::string(text), nullptr});
}

/// Lets `token`, parts[at], take white space, or gives it back to the text, as its flags ask for.
void apply_flags(const AddedToken& token, std::vector<TextPart>& parts, std::size_t at) {
  TextPart* left = at > 0 && !parts[at - 1].text.empty() ? &parts[at - 1] : nullptr;
  TextPart* right = at + 1 < parts.size() && !parts[at + 1].text.empty() ? &parts[at + 1] : nullptr;
  const bool touched_left = left != nullptr && left->text.back() != ' ';
  const bool touched_right = right != nullptr && right->text.front() != ' ';
  if (token.rstrip && right != nullptr) right->text = strip_left(right->text);
  if (token.lstrip && left != nullptr) left->text = strip_right(left->text);
  if (!token.single_word) return;
  if (touched_left) {
    left->text += token.content;
  } else if (touched_right) {
    right->text = token.content + right->text;
  } else {
    return;
  }
  parts[at].text.clear();
}

}  // namespace

TokenSplitter::TokenSplitter(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), ends_(1) {
  for (const AddedToken& token : tokens_) {
    by_content_.emplace(token.content, &token);
    std::uint32_t node = 0;
    for (const char byte : token.content) {
      const auto [found, added] = edges_.try_emplace(edge(node, byte), ends_.size());
      if (added) ends_.push_back(nullptr);
      node = found->second;
    }
    ends_[node] = &token;
  }
}

const AddedToken* TokenSplitter::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : found->second;
}

const AddedToken* TokenSplitter::longest_at(std::string_view text) const {
  const AddedToken* longest = nullptr;
  std::uint32_t node = 0;
  for (const char byte : text) {
    const auto found = edges_.find(edge(node, byte));
    if (found == edges_.end()) break;
    node = found->second;
    if (ends_[node] != nullptr) longest = ends_[node];
  }
  return longest;
}

std::vector<TextPart> TokenSplitter::cut(std::string_view text) const {
  std::vector<TextPart> parts;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = longest_at(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    add(parts, text.substr(begin, at - begin));
    parts.push_back({token->content, token});
    at += token->content.size();
    begin = at;
  }
  add(parts, text.substr(begin));
  return parts;
}

std::vector<TextPart> TokenSplitter::split(std::string_view text) const {
  std::vector<TextPart> parts = cut(text);
  // Looked up by content each time: a neighbour's flags may have made a token text, or the other way round.
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (const AddedToken* token = find(parts[i].text)) apply_flags(*token, parts, i);
  }
  std::erase_if(parts, [](const TextPart& part) { return part.text.empty(); });
  for (TextPart& part : parts) part.token = find(part.text);
  return parts;
}

}  // namespace mmbatch
