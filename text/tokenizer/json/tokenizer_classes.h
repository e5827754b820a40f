#pragma once

#include <string>

#include "engine/base/config.h"

namespace mmbatch {

/// What the Python class that a tokenizer_config.json names does differently from tokenizer.json.
struct TokenizerClassRules {
  /// What marks the end of a word in a decoded text, where the class makes spaces of it whatever the decoder
  /// of tokenizer.json is; empty: nothing.
  std::string word_end = {};
  /// It composes texts (NFC) whatever tokenizer.json says.
  bool composes = false;
  /// It takes no added tokens from tokenizer.json where an added_tokens_decoder is given: one that is not
  /// special there is not special.
  bool decoder_decides = false;
};

/// @param tokenizer tokenizer_config.json  @param model config.json
TokenizerClassRules rules_of_class(const Config& tokenizer, const Config& model);

}  // namespace mmbatch
