#pragma once

#include <string>
#include <vector>

namespace mmbatch::gguf {

/// How a value of "tokenizer.ggml.pre" cuts a text into pieces: these expressions, one after the other, each
/// match and all that is between matches a piece.
struct PreTokenizer {
  /// What is done to a text before it is cut. The file does not say: it is what published tokenizers of this
  /// name have.
  enum class Form { as_it_is, nfc };

  std::vector<std::string> expressions;
  bool ignore_merges = false;  // a piece that is a token is that token
  bool adds_bos = false;       // where the file does not say
  Form form = Form::as_it_is;
};

/// Null for a name that is not known.
const PreTokenizer* find_pre_tokenizer(const std::string& name);
/// "gpt-2, llama-bpe, …", for errors.
std::string pre_tokenizer_names();

}  // namespace mmbatch::gguf
