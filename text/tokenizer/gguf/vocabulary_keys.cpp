#include "text/tokenizer/gguf/vocabulary_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/tokenizer/gguf/pre_tokenizers.h"
#include "text/tokenizer/models/vocabulary.h"

namespace mmbatch::gguf {
namespace {

const std::string kPrefix = "tokenizer.ggml.";

std::optional<std::size_t> id_of(const Metadata& metadata, const std::string& name, std::size_t tokens) {
  const std::string key = kPrefix + name + "_token_id";
  if (!metadata.has(key)) return {};
  if (metadata.is_list(key)) metadata.fail(key, "is a list, one value is expected");
  const std::vector<std::int64_t> id = metadata.integers(key);
  // -1, in 32 bits, means none.
  if (id[0] == -1 || id[0] == 0xffffffff) return {};
  if (id[0] < 0 || static_cast<std::uint64_t>(id[0]) >= tokens)
    metadata.fail(key, fmt::format("{} is outside the vocabulary of {} tokens", id[0], tokens));
  return static_cast<std::size_t>(id[0]);
}

/// What converters call rows of the embedding that have no token.
bool is_padding(std::size_t id, std::string_view token, TokenType type) {
  return type == TokenType::unused && token == fmt::format("[PAD{}]", id);
}

std::vector<TokenType> read_types(const Metadata& metadata, std::size_t tokens) {
  const std::string key = kPrefix + "token_type";
  const std::vector<std::int64_t> numbers = metadata.integers(key);
  if (numbers.empty()) return std::vector<TokenType>(tokens, TokenType::normal);
  if (numbers.size() != tokens)
    metadata.fail(key, fmt::format("{} types for {} tokens", numbers.size(), tokens));
  std::vector<TokenType> types;
  for (const std::int64_t number : numbers) {
    // 0 is "undefined" with ggml, which treats it as a normal token.
    if (number < 0 || number > static_cast<std::int64_t>(TokenType::byte))
      metadata.fail(key, fmt::format("type {} is not known", number));
    types.push_back(number == 0 ? TokenType::normal : static_cast<TokenType>(number));
  }
  return types;
}

}  // namespace

VocabularyKeys::VocabularyKeys(const Metadata& metadata)
    : kind(vocabulary_kind(metadata.text(kPrefix + "model", ""))),
      tokens(metadata.texts(kPrefix + "tokens")) {
  const std::string key = kPrefix + "tokens";
  if (tokens.empty()) metadata.fail(key, "missing: the file has no vocabulary");
  if (tokens.size() > static_cast<std::size_t>(TokenVocabulary::kMaxId))
    metadata.fail(key,
                  fmt::format("{} tokens, at most {} are possible", tokens.size(), TokenVocabulary::kMaxId));
  for (const std::string_view token : tokens) {
    if (token.size() > TokenVocabulary::kMaxTokenBytes)
      metadata.fail(key, fmt::format("a token of {} bytes, at most {} are possible", token.size(),
                                     TokenVocabulary::kMaxTokenBytes));
  }
  types = read_types(metadata, tokens.size());
  stored = tokens.size();
  while (tokens.size() > 1 && is_padding(tokens.size() - 1, tokens.back(), types.back())) {
    tokens.pop_back();
    types.pop_back();
  }
  pre = metadata.text(kPrefix + "pre", "default");
  bos = id_of(metadata, "bos", tokens.size());
  eos = id_of(metadata, "eos", tokens.size());
  unk = id_of(metadata, "unknown", tokens.size());
  pad = id_of(metadata, "padding", tokens.size());
  const PreTokenizer* known = find_pre_tokenizer(pre);
  add_bos = metadata.flag(kPrefix + "add_bos_token", kind == VocabularyKind::scores ||
                                                         kind == VocabularyKind::piece_merges ||
                                                         (known != nullptr && known->adds_bos));
  add_eos = metadata.flag(kPrefix + "add_eos_token", false);
  add_space_prefix = metadata.flag(kPrefix + "add_space_prefix", kind == VocabularyKind::scores);
}

std::size_t token_id(const VocabularyKeys& keys, std::string_view token) {
  const auto found = std::find(keys.tokens.begin(), keys.tokens.end(), token);
  return static_cast<std::size_t>(found - keys.tokens.begin());
}

std::vector<std::int64_t> end_tokens(const Metadata& metadata) {
  static constexpr std::array kNames = {"<|eot_id|>",    "<|im_end|>",       "<|end|>",
                                        "<|return|>",    "<|call|>",         "<end_of_turn>",
                                        "<|endoftext|>", "<|eom_id|>",       "<EOT>",
                                        "_<EOT>",        "<|end_of_text|>",  "<end_of_utterance>",
                                        "<turn|>",       "<|tool_response>", "<｜end▁of▁sentence｜>"};
  const VocabularyKeys keys(metadata);
  std::vector<std::int64_t> ids;
  const auto add = [&](std::optional<std::size_t> id) {
    const auto number = static_cast<std::int64_t>(id.value_or(0));
    if (id && std::find(ids.begin(), ids.end(), number) == ids.end()) ids.push_back(number);
  };
  for (const char* name : {"eos", "eot", "eom"}) add(id_of(metadata, name, keys.tokens.size()));
  for (std::size_t id = 0; id < keys.tokens.size(); ++id) {
    const bool special = keys.types[id] == TokenType::control || keys.types[id] == TokenType::user_defined;
    if (special && std::find(kNames.begin(), kNames.end(), keys.tokens[id]) != kNames.end()) add(id);
  }
  // gpt-oss's mark between a message and the next, where there are marks for the ends of answers.
  const auto is_end = [&](const char* token) {
    const auto id = static_cast<std::int64_t>(token_id(keys, token));
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  if (is_end("<|return|>") && is_end("<|call|>"))
    std::erase(ids, static_cast<std::int64_t>(token_id(keys, "<|end|>")));
  return ids;
}

}  // namespace mmbatch::gguf
