#include "text/constraint/mask/token_bytes.h"

#include <algorithm>

#include "text/constraint/automaton/nfa.h"
#include "text/constraint/mask/trie_walk.h"

namespace mmbatch {
namespace {

std::vector<std::string> bytes_of(const Tokenizer& tokenizer) {
  std::vector<std::string> out(static_cast<std::size_t>(tokenizer.vocab_size()));
  for (std::size_t id = 0; id < out.size(); ++id) {
    if (auto bytes = tokenizer.bytes_inside_text(static_cast<std::int32_t>(id))) out[id] = std::move(*bytes);
  }
  return out;
}

/// Whether a token that is decoded alone adds what it adds inside a text, but for the space before it.
bool begins_as_inside(const Tokenizer& tokenizer, std::int32_t token, std::string_view inside) {
  if (inside.starts_with(' ')) inside.remove_prefix(1);
  return tokenizer.decode(std::span(&token, 1)) == inside;
}

/// Found by trying: a word with a space before it, alone.
bool drops_space(const Tokenizer& tokenizer, const std::vector<std::string>& bytes) {
  for (std::size_t id = 0; id < bytes.size(); ++id) {
    const std::string& text = bytes[id];
    if (text.size() < 2 || text[0] != ' ' || text[1] < 'A' || text[1] > 'z') continue;
    const auto token = static_cast<std::int32_t>(id);
    return tokenizer.decode(std::span(&token, 1)) == text.substr(1);
  }
  return false;
}

}  // namespace

TokenBytes::TokenBytes(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)),
      bytes_(bytes_of(*tokenizer_)),
      spaces_words_(tokenizer_->spaces_words()),
      drops_first_space_(spaces_words_ || drops_space(*tokenizer_, bytes_)),
      never_first_(spaces_words_ ? bytes_.size() : 0),
      all_(bytes_, [](const std::string&) { return true; }),
      quoting_(bytes_,
               [](const std::string& text) { return text.find_first_of("\"\\") != std::string::npos; }) {
  short_.assign(kShort + 1, TokenSet(bytes_.size()));
  for (std::size_t id = 0; id < bytes_.size(); ++id) {
    const std::string& text = bytes_[id];
    const auto token = static_cast<std::int32_t>(id);
    if (spaces_words_ && !text.empty() && !begins_as_inside(*tokenizer_, token, text))
      never_first_.add(token);
    longest_ = std::max(longest_, std::min(text.size(), TokenTrie::kMaxBytes));
    const auto characters = static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    for (std::size_t most = characters; most <= kShort; ++most) short_[most].add(token);
    if (characters > kShort) long_.emplace_back(token, characters);
  }
  Work work;
  any_text_ = mmbatch::any_text(work);
  const auto stays = [&](Dfa::State& state, std::uint8_t byte) {
    const bool is_plain = byte >= 0x20 && byte != 0x7F && byte != '"' && byte != '\\';
    state = is_plain ? any_text_.next(state, byte) : Dfa::kDead;
    return state != Dfa::kDead;
  };
  within_text_ = tokens_along(all_, vocab(), longest_, any_text_.start(), stays);
}

TokenSet TokenBytes::with_characters(TokenSet tokens, std::uint32_t most) const {
  if (most <= kShort) {
    tokens.keep(short_[most]);
    return tokens;
  }
  for (const auto& [token, characters] : long_) {
    if (characters > most) tokens.remove(token);
  }
  return tokens;
}

const std::string& TokenBytes::of(std::int32_t id) const {
  static const std::string none;
  return id >= 0 && static_cast<std::size_t>(id) < bytes_.size() ? bytes_[static_cast<std::size_t>(id)]
                                                                 : none;
}

std::string_view TokenBytes::at_beginning(std::int32_t id) const {
  std::string_view bytes = of(id);
  if (bytes.empty() || never_first_.has(id)) return {};
  if (drops_first_space_ && bytes.front() == ' ') bytes.remove_prefix(1);
  return bytes;
}

std::optional<std::int32_t> TokenBytes::beginning(std::span<const std::int32_t> same,
                                                  std::size_t bytes) const {
  for (const std::int32_t token : same) {
    if (at_beginning(token).size() == bytes) return token;
  }
  return std::nullopt;
}

}  // namespace mmbatch
