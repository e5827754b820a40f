#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/weights/checkpoint_files.h"
#include "text/tokenizer/json/added_tokens.h"
#include "text/tokenizer/json/tokenizer_classes.h"

namespace mmbatch {

/// What the files beside a tokenizer.json say of special tokens, by the rules of transformers 5:
/// special_tokens_map.json and added_tokens.json count only where tokenizer_config.json has no
/// added_tokens_decoder.
struct SpecialTokenFiles {
  /// bos_token, eos_token, … that are set: their contents.
  std::map<std::string, std::string> roles;
  /// Tokens of an added_tokens_decoder in the order of their ids: these flags count.
  std::vector<JsonAddedToken> decoder;
  /// Other special tokens in their order: they are added where they are missing.
  std::vector<JsonAddedToken> named;
  /// tokenizer_config.json has both `legacy: false` and add_prefix_space: only the first word of a text gets
  /// the space that tokenizer.json would put before every stretch between added tokens. Python's classes
  /// rebuild it then.
  bool prefix_at_beginning_only = false;
  TokenizerClassRules rules;
};

/// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json, where they are there.
/// @throws ModelError that names file and key
SpecialTokenFiles read_special_tokens(const CheckpointFiles& files);

/// The flags of an added token: `content`, `single_word`, …, `special`.
JsonAddedToken read_added_token(const Config& token);

}  // namespace mmbatch
