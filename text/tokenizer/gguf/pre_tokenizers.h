#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmbatch::gguf {

/// How a value of "tokenizer.ggml.pre" cuts a text into pieces: these expressions, one after the other, each
/// match and all that is between matches a piece.
struct PreTokenizer {
  std::vector<std::string> expressions;
  bool ignore_merges = false;  // a piece that is a token is that token
  bool adds_bos = false;       // where the file does not say
  /// Tokens that texts show though converters take them for control ones, by their looks.
  std::vector<std::string_view> shown = {};
};

/// How a vocabulary makes tokens of texts.
enum class VocabularyKind {
  scores,        // sentencepiece's byte-pair encoding
  byte_merges,   // byte-level byte-pair encoding
  piece_merges,  // merges over sentencepiece's spelling
  unknown,
};
/// By the value of "tokenizer.ggml.model".
VocabularyKind vocabulary_kind(const std::string& name);
/// "llama, gpt2, …", for errors.
std::string vocabulary_kind_names();

/// Null for a name that is not known.
const PreTokenizer* find_pre_tokenizer(const std::string& name);
/// "gpt-2, llama-bpe, …", for errors.
std::string pre_tokenizer_names();

}  // namespace mmbatch::gguf
