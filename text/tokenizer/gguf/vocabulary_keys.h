#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/gguf/gguf_metadata.h"
#include "text/tokenizer/gguf/pre_tokenizers.h"

namespace mmbatch::gguf {

/// What a token is, as "tokenizer.ggml.token_type" numbers it.
enum class TokenType : std::int64_t { normal = 1, unknown, control, user_defined, unused, byte };

/// The keys of a vocabulary, checked. Texts lie in the mapped file.
struct VocabularyKeys {
  explicit VocabularyKeys(const Metadata& metadata);

  VocabularyKind kind;
  std::string pre;  // of gpt2
  /// Without rows at the end that have no token.
  std::vector<std::string_view> tokens;
  std::size_t stored = 0;  // with them
  std::vector<TokenType> types;
  std::optional<std::size_t> bos, eos, unk, pad;
  bool add_bos = false, add_eos = false, add_space_prefix = true;
};

/// The id of a token; where a vocabulary lacks it, the one behind the last token's, up to tokens.size().
std::size_t token_id(const VocabularyKeys& keys, std::string_view token);

/// Ids that end a text: those that the keys name, and those whose token says so by its name.
std::vector<std::int64_t> end_tokens(const Metadata& metadata);

}  // namespace mmbatch::gguf
