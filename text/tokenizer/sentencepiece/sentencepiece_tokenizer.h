#pragma once

#include <memory>
#include <string>

#include "text/tokenizer/tokenizer.h"

namespace mmbatch {

/// A tokenizer made of a sentencepiece model (`file`: tokenizer.model or spiece.model) and, where present,
/// tokenizer_config.json, added_tokens.json and special_tokens_map.json: ids and text as transformers' Python
/// ("slow") classes give them.  @throws ModelError that names file and key
std::shared_ptr<const Tokenizer> load_sentencepiece_tokenizer(const CheckpointFiles& files,
                                                              const std::string& file);

}  // namespace mmbatch
