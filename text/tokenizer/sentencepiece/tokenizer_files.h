#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/weights/checkpoint_files.h"
#include "text/tokenizer/sentencepiece/sentencepiece_model.h"
#include "text/tokenizer/sentencepiece/token_splitter.h"

namespace mmbatch {

/// When an end of sequence is put behind a text.
enum class EndRule { never, always, unless_there };

/// What tokenizer_config.json says and, where it is silent, what transformers' classes assume.
struct TokenizerSettings {
  bool legacy = true;            // every segment gets the dummy prefix, not only the first
  bool add_prefix_space = true;  // legacy false: the first segment gets it
  bool verbatim = false;         // the vocabulary knows no dummy prefix and the files say nothing of one
  bool add_bos = true;
  EndRule end = EndRule::never;
  bool lower_case = false;
  bool spaces_between = true;  // decoding: between added tokens and text
};

inline constexpr const char* kAdditionalTokens = "additional_special_tokens";

/// A special token's role that the files name.
struct NamedToken {
  std::string role;  // "bos_token", …, or kAdditionalTokens
  std::int32_t id;
};

struct TokenizerFiles {
  TokenizerSettings settings;
  std::vector<AddedToken> added;  // contents and ids differ from each other
  std::vector<NamedToken> named;
};

/// Reads tokenizer_config.json, added_tokens.json and special_tokens_map.json, each where present. As in
/// transformers the latter two count only where tokenizer_config.json has no added_tokens_decoder.
/// @throws ModelError naming file and key: an id out of range or given twice, a content given twice, a
/// content at an id where the vocabulary has another piece of text.
TokenizerFiles read_tokenizer_files(const CheckpointFiles& checkpoint, const Config& config,
                                    const SentencePieceModel& model);

}  // namespace mmbatch
